"""This installation's settings, made into what core takes and has to keep to.

Beyond core's rules for a document, no route takes what is the control plane's, no sticky
cookie has the name of one of its cookies, and CA certificates are ones that the TLS library
here can load.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

from django.conf import settings
from django.utils.translation import gettext as _

from pools import conf, reserved
from pools.core.document import Document, Pool, Route, StickyMode
from pools.core.errors import Path, Problem
from pools.core.headers import HeaderRules
from pools.core.snapshot import sticky_cookie
from pools.wire.ids import make_id


def header_rules(make_id: Callable[[], bytes] = make_id) -> HeaderRules:
    """The header rules by the settings as they are now; keep them, don't make them for each
    request."""
    now = conf.current()
    return HeaderRules(
        trusted=now.trusted_proxies,
        via=now.via,
        forwarded=now.forwarded,
        private_cookies=(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME),
        make_id=make_id,
    )


def problems(document: Document) -> Iterator[Problem]:
    """Every problem of a document that holds by itself."""
    for index, pool in enumerate(document.pools):
        yield from pool_problems(pool, ("pools", index))
    kept = reserved.current()
    for index, route in enumerate(document.routes):
        yield from route_problems(route, ("routes", index), kept)


def pool_problems(pool: Pool, at: Path = ()) -> Iterator[Problem]:
    cookie = sticky_cookie(pool)
    own = (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
    if pool.sticky.mode is not StickyMode.OFF and cookie in own:
        yield Problem(
            (*at, "sticky", "cookie"),
            _("%(cookie)s is the name of the admin's own cookie: choose another")
            % {"cookie": cookie},
        )
    if not pool.tls.ca:
        return
    try:
        ssl.create_default_context(cadata=pool.tls.ca)
    except ssl.SSLError as error:
        reason = error.reason or _("not a certificate")
        yield Problem(
            (*at, "tls", "ca"),
            _("this CA certificate cannot be loaded (%(reason)s): paste it again, whole")
            % {"reason": reason},
        )


def route_problems(
    route: Route, at: Path = (), kept: reserved.Reserved | None = None
) -> Iterator[Problem]:
    claims = (kept or reserved.current()).claimed(route.hosts, route.path_prefix)
    if claims is None:
        return
    if claims in route.hosts:
        said = _("%(host)s is the admin's own host: use another")
        yield Problem((*at, "hosts"), said % {"host": claims})
    else:
        yield Problem(
            (*at, "path_prefix"),
            _(
                "%(prefix)s is the admin's own: use a prefix outside %(claims)s, or give the "
                "admin a host of its own (POOLS_ADMIN_HOST)"
            )
            % {"prefix": route.path_prefix, "claims": claims},
        )
