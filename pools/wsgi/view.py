"""The view that answers a request from a pool."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from revproxy.views import ProxyView  # type: ignore[import-untyped]

from pools.control import watch
from pools.core.compiled import CompiledRoute
from pools.wire.errors import Refused
from pools.wire.ids import make_id
from pools.wsgi import arrival, records, responses
from pools.wsgi.arrival import Arrival
from pools.wsgi.forwarding import Forwarding

_LOADING_S = 1  # watchers look at least as often, if they are not told otherwise


def unrouted(request: HttpRequest, *, request_id: bytes) -> HttpResponse:
    """The answer where no route takes a request: 404, or 503 while routes are not known."""
    status = 404 if watch.loaded() else 503
    records.current().unrouted(status)
    if status == 404:
        return responses.error(request, 404, request_id=request_id)
    return responses.error(request, 503, request_id=request_id, retry_after_s=_LOADING_S)


class PoolProxyView(ProxyView):  # type: ignore[misc]
    """django-revproxy's view with a pool behind it instead of one upstream.

    The middleware calls it with the route; in a URL configuration it finds one itself and
    answers as `unrouted` where there is none.
    """

    def dispatch(
        self,
        request: HttpRequest,
        path: str = "",
        *,
        arrived: Arrival | None = None,
        route: CompiledRoute | None = None,
    ) -> HttpResponseBase:
        try:
            arrived = arrived or arrival.receive(request.META)
        except Refused as refusal:
            return responses.error(request, refusal.status, request_id=make_id())
        route = route or watch.engine().match(arrived.head)
        if route is None:
            return unrouted(request, request_id=arrived.origin.request_id)
        exchange = watch.engine().begin(route, arrived.head)
        return Forwarding(request, arrived, exchange).answer()
