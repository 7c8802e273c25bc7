"""What a backend gets of a request, field by field, and why: made by the functions that the
data planes use, and told for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from pools import site
from pools.control.asked import Asked
from pools.core.compiled import CompiledRoute
from pools.core.document import HostMode
from pools.core.headers import (
    HeaderRules,
    Origin,
    Pairs,
    connection_options,
    host_for,
    upgrade_asked,
)
from pools.core.names import HOP_BY_HOP, OF_ORIGIN

MADE = b"(made for each request)"
EACH_ITS_OWN = "(each backend's own)"
_BY_THE_BODY = frozenset({b"content-length", b"transfer-encoding", b"expect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A header field that the backend gets, or one of the client's that it does not."""

    name: str
    value: str
    why: str
    sent: bool = True

    def plain(self) -> dict[str, object]:
        """For JSON."""
        return {"name": self.name, "value": self.value, "why": self.why, "sent": self.sent}


def rules() -> HeaderRules:
    """The header rules of this installation, but for the id that each request gets."""
    return site.header_rules(lambda: MADE)


def fields(
    asked: Asked, headers: Pairs, *, origin: Origin, route: CompiledRoute, by: HeaderRules
) -> Iterator[Field]:
    """All that a backend gets but what the body decides, in order; then what it does not get.

    `headers` are the request's as a data plane has them, with Host.
    """
    yield _host(asked, route)
    sent = by.request(headers, origin=origin, route=route)
    if (token := upgrade_asked(headers, route)) is not None:
        sent += [(b"connection", b"upgrade"), (b"upgrade", token)]
    ours = dict(route.request_set)
    typed = {name for name, _ in headers}
    for name, value in sent:
        if name in ours:
            why = gettext_noop("set by the route")
        elif (name, value) in headers:
            why = gettext_noop("as the client sent it")
            if name in (b"connection", b"upgrade"):
                why = gettext_noop("by the gateway; the view cannot switch protocols")
        elif name in typed:
            why = gettext_noop("changed on the way")
        else:
            why = gettext_noop("added")
        yield Field(name=_text(name), value=_text(value), why=why)
    passed = {name for name, _ in sent}
    named = connection_options(headers)
    for name, value in headers:
        if name != b"host" and name not in passed:
            why = _why_not(name, route=route, named=named, trusted=origin.trusted)
            yield Field(name=_text(name), value=_text(value), why=why, sent=False)


def _host(asked: Asked, route: CompiledRoute) -> Field:
    mode = route.pool.spec.host.mode
    if mode is HostMode.FIXED:
        return Field(
            name="host", value=_text(route.pool.host), why=gettext_noop("fixed by the pool")
        )
    if mode is HostMode.PRESERVE and asked.host:
        return Field(name="host", value=asked.host, why=gettext_noop("as the client sent it"))
    backends = route.pool.backends
    value = EACH_ITS_OWN
    if len(backends) == 1:
        value = _text(host_for(route, backends[0], asked.host.encode()))
    why = (
        gettext_noop("by the pool")
        if mode is HostMode.BACKEND
        else gettext_noop("the request has none")
    )
    return Field(name="host", value=value, why=why)


def _why_not(
    name: bytes, *, route: CompiledRoute, named: frozenset[bytes], trusted: bool
) -> str:
    """Why a field of the client's does not go on: the first cause found."""
    if name in _BY_THE_BODY:
        return gettext_noop("written anew, by the body that comes")
    if name in HOP_BY_HOP or name in named:
        return gettext_noop("of one hop alone")
    if name in OF_ORIGIN or name.startswith(b"x-forwarded-"):
        return (
            gettext_noop("removed by the route")
            if trusted
            else gettext_noop("not believed: its sender is not trusted")
        )
    if b"_" in name:
        return gettext_noop("its name has an underscore")
    if name == b"cookie" and name not in route.request_remove:
        return gettext_noop("the proxy's own cookies alone were in it")
    if name in route.request_remove:
        return gettext_noop("removed by the route")
    return gettext_noop("never forwarded")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
