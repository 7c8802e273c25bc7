"""What decides, before anything else of Django, whose a request is.

Put it first in MIDDLEWARE. Nothing behind it sees proxied traffic: neither ALLOWED_HOSTS
nor limits on bodies, CSRF, sessions or APPEND_SLASH.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property

from pools import conf, reserved
from pools.control import watch
from pools.wire.errors import Refused
from pools.wire.ids import make_id
from pools.wsgi import arrival, responses
from pools.wsgi.view import PoolProxyView, unrouted

logger = logging.getLogger("pools.wsgi")


class ReverseProxyMiddleware:
    """Reserved hosts and paths go on to Django, what a route takes goes to its pool, and
    the rest as POOLS_FALLTHROUGH says: on to Django, or 404. With POOLS_ADMIN_HOST the
    admin's paths on other hosts are 404 in any case.

    For WSGI alone: what it reads of a server's environ and socket has no like in ASGI.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._proxy: Callable[..., HttpResponseBase] = PoolProxyView.as_view()
        self._fallthrough = conf.current().fallthrough

    @cached_property
    def _reserved(self) -> reserved.Reserved:
        # At the first request: the URL configuration may not be importable earlier.
        return reserved.current()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not isinstance(request, WSGIRequest):
            raise ImproperlyConfigured(
                "ReverseProxyMiddleware works under WSGI alone: serve this project by a WSGI "
                "server, such as gunicorn with --worker-class gthread"
            )
        try:
            arrived = arrival.receive(request.META)
        except Refused as refusal:
            logger.info("refused: %s", refusal.reason)
            return responses.error(request, refusal.status, request_id=make_id())
        if arrived.host:
            # The authority of an absolute-form target replaces Host (RFC 9112 §3.2.2), for
            # Django too: it must not see another host than the one decided by here.
            request.META["HTTP_HOST"] = arrived.host.decode("latin-1")
        if self._reserved.holds(arrived.head.host, arrived.head.path):
            return self.get_response(request)
        route = watch.engine().match(arrived.head)
        if route is not None:
            return self._proxy(request, arrived=arrived, route=route)
        hidden = self._reserved.elsewhere(arrived.head.host, request.path)
        if self._fallthrough and not hidden:
            return self.get_response(request)
        return unrouted(request, request_id=arrived.origin.request_id)
