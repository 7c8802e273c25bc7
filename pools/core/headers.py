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
from dataclasses import dataclass
from functools import lru_cache

from pools.core import cookies
from pools.core.compiled import CompiledBackend, CompiledRoute
from pools.core.document import HostMode
from pools.core.mending import Mending
from pools.core.request import Headers
from pools.core.target import parse_authority

Pairs = list[tuple[bytes, bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 9110 §7.6.1, and what older software treats alike. Trailers are dropped, and with
# them their announcement.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Host and length are written by the data plane for each attempt. Proxy is no field of
# HTTP, and CGI makes HTTP_PROXY of it (CVE-2016-5385).
_REQUEST_DROPPED = HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    b"proxy",
    b"http2-settings",  # of a switch to h2c (RFC 7540 §3.2.1), which is never forwarded
}
# A challenge to authenticate to us is not the backend's to make; wsgiref refuses it.
_RESPONSE_DROPPED = HOP_BY_HOP | {b"proxy-authenticate", b"proxy-authorization"}
_OF_ORIGIN = frozenset({b"forwarded", b"x-real-ip", b"x-request-id"})
_REFERENCES = frozenset({b"location", b"content-location"})
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_PORT = {"http": b"80", "https": b"443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request came from.

    `client` is its address, `peer` that of the connection's other end ("": a Unix
    socket). `scheme` and `host` are what the client asked for; `host` is b"" when an
    HTTP/1.0 request had none.
    """

    client: str
    peer: str
    trusted: bool
    scheme: str
    host: bytes
    request_id: bytes


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

    def _trusts(self, address: str) -> bool:
        """Whether what the peer at this address says of a request's origin is believed.

        "" is a Unix socket: whoever can open it is on this machine, put there to front us.
        """
        if not address:
            return True
        found = _address(address)
        return found is not None and any(found in network for network in self._networks)

    def origin(self, *, peer: str, scheme: str, host: bytes, headers: Headers) -> Origin:
        """Where a request came from, by its connection and by what trusted peers say."""
        if not self.trusts(peer):
            return Origin(
                client=peer,
                peer=peer,
                trusted=False,
                scheme=scheme,
                host=host,
                request_id=self._make_id(),
            )
        said = dict(reversed(headers))  # the first of repeated fields
        proto = said.get(b"x-forwarded-proto", b"").partition(b",")[0].strip().lower()
        request_id = said.get(b"x-request-id", b"")
        return Origin(
            client=self._client(peer, headers),
            peer=peer,
            trusted=True,
            scheme=proto.decode() if proto in (b"http", b"https") else scheme,
            host=_first_host(said.get(b"x-forwarded-host", b"")) or host,
            request_id=request_id if _REQUEST_ID.fullmatch(request_id) else self._make_id(),
        )

    def _client(self, peer: str, headers: Headers) -> str:
        hops = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        client = peer
        for hop in reversed(hops.split(b",")):
            address = _hop_address(hop.strip().decode("latin-1"))
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
        dropped = _REQUEST_DROPPED | connection_options(headers)
        private = self._private
        if route.pool.cookie:
            private = private | {route.pool.cookie}
        said: dict[bytes, list[bytes]] = {}
        kept: Pairs = []
        for name, value in headers:
            if name in dropped or b"_" in name:
                continue
            if name in _OF_ORIGIN or name.startswith(b"x-forwarded-"):
                if origin.trusted:
                    said.setdefault(name, []).append(value)
            elif name == b"cookie":
                if (left := cookies.strip(value, private)) is not None:
                    kept.append((name, left))
            else:
                kept.append((name, value))
        kept += self._forwarding(said, origin, route)
        if self._via:
            kept.append((b"via", version + b" " + self._via))
        return edited(kept, set_=route.request_set, remove=route.request_remove)

    def _forwarding(
        self, said: dict[bytes, list[bytes]], origin: Origin, route: CompiledRoute
    ) -> Pairs:
        """The fields that say where the request came from, continuing what was `said`."""
        peer = origin.peer.encode()
        if peer:
            said.setdefault(b"x-forwarded-for", []).append(peer)
        # What was said of these is in the origin, as far as it can be what it says it is.
        said[b"x-forwarded-proto"] = [origin.scheme.encode()]
        said.pop(b"x-forwarded-host", None)
        ports = said.pop(b"x-forwarded-port", ())
        if host := origin.host:
            port = host.rpartition(b":")[2]
            port = port if port.isdigit() else _PORT[origin.scheme]
            said[b"x-forwarded-host"] = [host]
            said[b"x-forwarded-port"] = [next((p for p in ports if p.isdigit()), port)]
        if route.rewrite is not None and (prefix := route.prefix[: route.rewrite[0]]):
            # Prefixes nest: the outer proxy took its own away first.
            outer = b"".join(said.get(b"x-forwarded-prefix", ())).rstrip(b"/")
            said[b"x-forwarded-prefix"] = [outer + prefix]
        if self._forwarded:
            said.setdefault(b"forwarded", []).append(_forwarded(origin))
        said[b"x-request-id"] = [origin.request_id]
        return [(name, b", ".join(values)) for name, values in said.items()]

    def hints(self, headers: Headers, route: CompiledRoute) -> Pairs:
        """The fields of a 103 for the client: Link alone.

        That is what hints are, and no other field may go past the rules of the answer that
        follows; nor may those that the route removes or sets.
        """
        if b"link" in route.response_remove or any(
            name == b"link" for name, _ in route.response_set
        ):
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
        headers = list(headers)
        dropped = _RESPONSE_DROPPED | connection_options(
            (name.lower(), value) for name, value in headers
        )
        mending = Mending(
            route=route,
            backend=backend.spec,
            sent_host=sent_host,
            public_scheme=origin.scheme.encode(),
            public_host=origin.host or sent_host,
        )
        kept: Pairs = []
        identified = False
        for name, value in headers:
            lower = name.lower()
            if lower in dropped:
                continue
            if lower == b"set-cookie":
                if cookies.name_set(value) in self._private:
                    continue
                value = mending.cookie(value)
            elif lower in _REFERENCES:
                value = mending.location(value)
            elif lower == b"x-request-id":
                identified = True
            kept.append((name, value))
        if not identified:
            kept.append((b"X-Request-ID", origin.request_id))
        return edited(kept, set_=route.response_set, remove=route.response_remove)


def upgrade_asked(headers: Headers, route: CompiledRoute) -> bytes | None:
    """The protocol to ask the backend for, as the client wrote it; None: no switch.

    The first of those that the client offers which the route allows (RFC 9110 §7.8). h2c is
    never forwarded: what went through it would pass all rules by. That a client of HTTP/1.0
    cannot ask is for the data plane to know.
    """
    if b"upgrade" not in connection_options(headers):
        return None
    allowed: frozenset[bytes] = getattr(route, "upgrades", frozenset())
    for name, value in headers:
        if name == b"upgrade":
            for token in value.split(b","):
                token = token.strip(b" \t")
                if (lower := token.lower()) in allowed and lower != b"h2c":
                    return token
    return None


def block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The fields as lines of a head."""
    return b"\r\n".join([*map(b": ".join, fields), b""])


def connection_options(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The names that Connection lists, lower case; names in `headers` are lower case."""
    return frozenset(
        option.strip().lower()
        for name, value in headers
        if name == b"connection"
        for option in value.split(b",")
    )


def edited(headers: Pairs, *, set_: Headers, remove: Container[bytes]) -> Pairs:
    """`headers` without those of `remove`, with those of `set_` in place of their like."""
    if not set_ and not remove:
        return headers
    replaced = {name for name, _ in set_}
    return [
        *(
            (name, value)
            for name, value in headers
            if (lower := name.lower()) not in replaced and lower not in remove
        ),
        *set_,
    ]


def host_for(route: CompiledRoute, backend: CompiledBackend, host: bytes) -> bytes:
    """The Host that a backend gets; `host` is the request's, b"" when it had none."""
    spec = route.pool.spec.host
    if spec.mode is HostMode.FIXED:
        return spec.value.encode()
    if spec.mode is HostMode.PRESERVE and host:
        return host
    return backend.host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack listener shows 10.0.0.1 as ::ffff:10.0.0.1.
    return getattr(address, "ipv4_mapped", None) or address


def _first_host(value: bytes) -> bytes:
    """The first host of X-Forwarded-Host; b"" where it is none."""
    first = value.partition(b",")[0].strip()
    try:
        return parse_authority(first).raw
    except ValueError:
        return b""


def _hop_address(text: str) -> str | None:
    """The address of one X-Forwarded-For element; some proxies add the port."""
    bracketed, _, rest = text.removeprefix("[").partition("]")
    if text.startswith("[") and (not rest or rest.startswith(":")):
        text = bracketed
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return None if (address := _address(text)) is None else str(address)


def _forwarded(origin: Origin) -> bytes:
    """One element of Forwarded (RFC 7239 §4, §6)."""
    node = f'"[{origin.peer}]"' if ":" in origin.peer else origin.peer or "unknown"
    parts = [f"for={node}", f"proto={origin.scheme}"]
    if origin.host:
        parts.insert(1, f'host="{origin.host.decode("latin-1")}"')
    return ";".join(parts).encode("latin-1")
