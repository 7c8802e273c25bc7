"""What this installation asks of a document, beyond core's rules.

No route takes what is the control plane's, no sticky cookie has the name of one of its
cookies, and CA certificates are ones that the TLS library here can load.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from django.conf import settings

from pools import reserved
from pools.core.document import Document, Pool, Route, StickyMode
from pools.core.errors import Path, Problem
from pools.core.snapshot import sticky_cookie


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
            f"{cookie} is the name of the admin's own cookie: choose another",
        )
    if not pool.tls.ca:
        return
    try:
        ssl.create_default_context(cadata=pool.tls.ca)
    except ssl.SSLError as error:
        reason = error.reason or "not a certificate"
        yield Problem(
            (*at, "tls", "ca"),
            f"this CA certificate cannot be loaded ({reason}): paste it again, whole",
        )


def route_problems(
    route: Route, at: Path = (), kept: reserved.Reserved | None = None
) -> Iterator[Problem]:
    claims = (kept or reserved.current()).claimed(route.hosts, route.path_prefix)
    if claims is None:
        return
    if claims in route.hosts:
        yield Problem((*at, "hosts"), f"{claims} is the admin's own host: use another")
    else:
        yield Problem(
            (*at, "path_prefix"),
            f"{route.path_prefix} is the admin's own: use a prefix outside {claims}, or give "
            "the admin a host of its own (POOLS_ADMIN_HOST)",
        )
