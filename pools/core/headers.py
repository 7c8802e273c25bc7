"""What the header fields of requests and responses become on their way through.

Rules:
- Fields of one hop never pass: Connection, all that it names, and the rest of the list
  (RFC 9110 §7.6.1). They go before ours are added, so that a client cannot name ours in
  Connection and have them removed (CVE-2021-32813).
- What a peer outside the trusted networks says of where a request came from is dropped;
  what a trusted one says is continued. The client is the rightmost untrusted address
  (nginx real_ip_recursive).
- Names with an underscore are dropped: CGI and WSGI merge X_User with X-User.
- The admin's cookies never reach a backend, and no backend can set them (session
  fixation); the cookie of stickiness is ours and is taken off too.
- Everything else passes byte for byte, in number and order.

Framing (Content-Length, Transfer-Encoding), Expect and Upgrade belong to the data plane.
Names of requests are lower case already, those of responses are kept as they came.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from typing import Final

from pools.core import cookies, hops
from pools.core.compiled import CompiledBackend, CompiledRoute
from pools.core.mending import Mending
from pools.core.names import (
    CONNECTION_USUAL,
    OF_ORIGIN,
    REQUEST_DROPPED,
    REQUEST_USUAL,
    RESPONSE_DROPPED,
    RESPONSE_LOOKED_AT,
    RESPONSE_USUAL,
    TOLD_ONCE,
)
from pools.core.request import Headers

Pairs = list[tuple[bytes, bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_REQUEST_ID: Final = re.compile(rb"[!-~]{1,128}")


class Origin:
    """Where a request came from. Plain as request.py says.

    `client` is its address, `peer` that of the connection's other end ("": a Unix
    socket). `scheme` and `host` are what the client asked for; `host` is b"" when an
    HTTP/1.0 request had none.
    """

    __slots__ = ("client", "host", "peer", "request_id", "scheme", "trusted")

    def __init__(
        self,
        client: str,
        peer: str,
        trusted: bool,
        scheme: str,
        host: bytes,
        request_id: bytes,
    ) -> None:
        self.client = client
        self.peer = peer
        self.trusted = trusted
        self.scheme = scheme
        self.host = host
        self.request_id = request_id


class HeaderRules:
    """The header rules of one process. Thread-safe.

    `private_cookies` are the admin's own. `via` "" adds no Via. `forwarded` adds the
    field of RFC 7239. `make_id` makes a request's id.
    """

    def __init__(
        self,
        *,
        trusted: Iterable[Network] = (),
        via: str = "",
        forwarded: bool = False,
        private_cookies: Iterable[str] = (),
        make_id: Callable[[], bytes],
    ) -> None:
        self._networks = tuple(trusted)
        self._via = via.encode()
        self._forwarded = forwarded
        self._private = frozenset(name.encode() for name in private_cookies)
        self._make_id = make_id
        # Peers are few and parsing an address takes longer than all the rest.
        self.trusts = lru_cache(maxsize=4096)(self._trusts)
        # Pools and public hosts are few too.
        self._private_with = lru_cache(maxsize=256)(self._private_and)
        self._asked_for = lru_cache(maxsize=1024)(hops.asked_for)

    def _trusts(self, address: str) -> bool:
        """Whether what the peer at this address says of a request's origin is believed.

        "" is a Unix socket: whoever can open it is on this machine, put there to front us.
        """
        if not address:
            return True
        found = hops.address(address)
        return found is not None and any(found in network for network in self._networks)

    def origin(self, *, peer: str, scheme: str, host: bytes, headers: Headers) -> Origin:
        """Where a request came from, by its connection and by what trusted peers say."""
        if not self.trusts(peer):
            return Origin(peer, peer, False, scheme, host, self._make_id())
        said: dict[bytes, bytes] = {}
        chain: list[bytes] = []
        for name, value in headers:
            if name == b"x-forwarded-for":
                chain.append(value)
            elif name in TOLD_ONCE:
                said.setdefault(name, value)
        proto = said.get(b"x-forwarded-proto", b"").partition(b",")[0].strip().lower()
        request_id = said.get(b"x-request-id", b"")
        return Origin(
            client=self._client(peer, b",".join(chain)),
            peer=peer,
            trusted=True,
            scheme=proto.decode() if proto in (b"http", b"https") else scheme,
            host=hops.first_host(said.get(b"x-forwarded-host", b"")) or host,
            request_id=request_id if _REQUEST_ID.fullmatch(request_id) else self._make_id(),
        )

    def _client(self, peer: str, chain: bytes) -> str:
        client = peer
        for hop in reversed(chain.split(b",")):
            address = hops.hop_address(hop.strip().decode("latin-1"))
            if address is None:  # what is left of it nobody vouches for
                break
            client = address
            if not self.trusts(address):
                break
        return client

    def request(
        self, headers: Headers, *, origin: Origin, route: CompiledRoute, version: bytes = b"1.1"
    ) -> Pairs:
        """The fields for a backend but Host, length and framing; `version` is the client's."""
        private = self._private
        if route.pool.cookie:
            private = self._private_with(route.pool.cookie)
        said: Pairs = []  # by other proxies
        options: list[bytes] = []
        kept: Pairs = []
        for field in headers:
            name, value = field
            if name in REQUEST_USUAL:
                kept.append(field)
            elif name == b"cookie":
                left = cookies.strip(value, private)
                if left is value:
                    kept.append(field)
                elif left is not None:
                    kept.append((name, left))
            elif name in REQUEST_DROPPED:
                if name == b"connection" and value not in CONNECTION_USUAL:
                    options.append(value)
            elif name in OF_ORIGIN or name.startswith(b"x-forwarded-"):
                said.append(field)
            elif b"_" not in name:
                kept.append(field)
        if options:
            named = _options(options)
            kept = [field for field in kept if field[0] not in named]
            said = [field for field in said if field[0] not in named]
        prefix = b"" if route.rewrite is None else route.prefix[: route.rewrite[0]]
        peer, scheme, host = origin.peer, origin.scheme, origin.host
        asked = self._asked_for(scheme, host, prefix)
        ours: Pairs = []
        if peer:
            ours.append((b"x-forwarded-for", peer.encode()))
        if self._forwarded:
            ours.append((b"forwarded", hops.forwarded(peer, scheme, host)))
        if said and origin.trusted:
            kept += hops.continued(said, ours, asked)
        else:
            kept += ours
            kept += asked
        kept.append((b"x-request-id", origin.request_id))
        if self._via:
            kept.append((b"via", version + b" " + self._via))
        if route.request_set or route.request_remove:
            return edited(kept, set_=route.request_set, remove=route.request_remove)
        return kept

    def _private_and(self, cookie: bytes) -> frozenset[bytes]:
        return self._private | {cookie}

    def hints(self, headers: Headers, route: CompiledRoute) -> Pairs:
        """The fields of a 103 for the client: Link alone.

        That is what hints are, and no other field may go past the rules of the answer that
        follows; nor may those that the route removes or sets.
        """
        if b"link" in route.response_remove or b"link" in dict(route.response_set):
            return []
        return [(name, value) for name, value in headers if name.lower() == b"link"]

    def response(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        origin: Origin,
        route: CompiledRoute,
        backend: CompiledBackend,
        sent_host: bytes,
    ) -> Pairs:
        """The fields for the client; X-Request-ID is added where the backend sent none."""
        options: list[bytes] = []
        kept: Pairs = []
        identified = False
        for field in headers:
            name, value = field
            if name in RESPONSE_USUAL:
                kept.append(field)
                continue
            lower = name.lower()
            if lower not in RESPONSE_LOOKED_AT:
                kept.append(field)
                continue
            if lower in RESPONSE_DROPPED:
                if lower == b"connection" and value not in CONNECTION_USUAL:
                    options.append(value)
                continue
            if lower == b"set-cookie":
                if cookies.sets(value, self._private):
                    continue
                if route.rewrite is not None:
                    value = _mending(origin, route, backend, sent_host).cookie(value)
            elif lower == b"x-request-id":
                identified = True
            else:
                value = _mending(origin, route, backend, sent_host).location(value)
            kept.append((name, value))
        if options:
            named = _options(options)
            kept = [field for field in kept if field[0].lower() not in named]
            identified = identified and b"x-request-id" not in named
        if not identified:
            kept.append((b"X-Request-ID", origin.request_id))
        if route.response_set or route.response_remove:
            return edited(kept, set_=route.response_set, remove=route.response_remove)
        return kept


def _mending(
    origin: Origin, route: CompiledRoute, backend: CompiledBackend, sent_host: bytes
) -> Mending:
    return Mending(
        route=route,
        backend=backend.spec,
        sent_host=sent_host,
        public_scheme=origin.scheme.encode(),
        public_host=origin.host or sent_host,
    )


def upgrade_asked(headers: Headers, route: CompiledRoute) -> bytes | None:
    """The protocol to ask the backend for, as the client wrote it; None: no switch.

    The first of those that the client offers which the route allows (RFC 9110 §7.8). h2c is
    never forwarded: what went through it would pass all rules by. That a client of HTTP/1.0
    cannot ask is for the data plane to know.
    """
    if b"upgrade" not in connection_options(headers):
        return None
    for name, value in headers:
        if name == b"upgrade":
            for token in value.split(b","):
                token = token.strip(b" \t")
                if (lower := token.lower()) in route.upgrades and lower != b"h2c":
                    return token
    return None


def block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The fields as lines of a head."""
    parts: list[bytes] = []
    for name, value in fields:
        parts.append(name)
        parts.append(b": ")
        parts.append(value)
        parts.append(b"\r\n")
    return b"".join(parts)


def connection_options(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The names that Connection lists, lower case; names in `headers` are lower case."""
    return _options([value for name, value in headers if name == b"connection"])


def _options(values: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(
        [option.strip().lower() for value in values for option in value.split(b",")]
    )


def edited(headers: Pairs, *, set_: Headers, remove: Container[bytes]) -> Pairs:
    """`headers` without those of `remove`, with those of `set_` in place of their like."""
    if not set_ and not remove:
        return headers
    replaced = {name for name, _ in set_}
    kept = [
        field
        for field in headers
        if (lower := field[0].lower()) not in replaced and lower not in remove
    ]
    return [*kept, *set_]


def host_for(route: CompiledRoute, backend: CompiledBackend, host: bytes) -> bytes:
    """The Host that a backend gets; `host` is the request's, b"" when it had none."""
    pool = route.pool
    return (host if pool.keeps_host else pool.host) or backend.host
