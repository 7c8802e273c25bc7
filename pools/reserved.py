"""What the control plane keeps for itself, so that no route can shadow the admin.

With POOLS_ADMIN_HOST the whole of that host is kept; without, the reserved paths on
every host. Matching is on the raw path and on segment boundaries, as routes match.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from pools import conf
from pools.core import fields
from pools.core.routing import below


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """`host` as a route's host is written, or ""; `paths` as path prefixes are.

    `admin` is where the admin is mounted, as in HttpRequest.path, or "".
    """

    host: str
    paths: tuple[str, ...]
    admin: str = ""

    def holds(self, host: str, path: bytes) -> bool:
        """Whether a request is the control plane's: host as in RequestHead, raw path."""
        if self.host:
            return host == self.host
        return any(below(prefix.encode(), path) for prefix in self.paths)

    def elsewhere(self, host: str, path: str) -> bool:
        """Whether this asks for the admin on another host than its own.

        `path` is HttpRequest.path and not the raw path, as Django goes by it.
        """
        if not self.host or not self.admin or host == self.host:
            return False
        return below(self.admin.encode(), path.encode())

    def claimed(self, hosts: tuple[str, ...], prefix: str) -> str | None:
        """Which reserved host or path a route of these hosts and prefix would take, or None."""
        if self.host:
            return self.host if self.host in hosts else None
        path = prefix.encode()
        return next((kept for kept in self.paths if below(kept.encode(), path)), None)


def current() -> Reserved:
    """From the settings and the URL configuration as they are now; keep it, don't call it
    for each request."""
    now = conf.current()
    host = f"[{now.admin_host}]" if ":" in now.admin_host else now.admin_host
    paths = tuple(_of_urlconf()) if now.reserved_paths is None else now.reserved_paths
    return Reserved(host=host, paths=paths, admin=unquote(_admin()))


def _admin() -> str:
    """Where the admin is mounted, as a path prefix; "" in a project without it."""
    with suppress(NoReverseMatch):
        return fields.path_prefix(reverse("admin:index"))
    return ""


def _of_urlconf() -> Iterator[str]:
    """Where the admin is mounted, and the static files that its pages need."""
    if admin := _admin():
        yield admin
    static = settings.STATIC_URL
    if static and not urlsplit(static).netloc:
        yield fields.path_prefix(static)
