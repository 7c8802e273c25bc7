"""A client's request as it comes, and what of it must hold before it is served.

llhttp refuses what can be read two ways. Checked here besides: the version, codings other
than chunked, chunked from HTTP/1.0, what is repeated and may not be, the target, the Host.
"""

from __future__ import annotations

from pools.core.headers import HeaderRules, Origin, Pairs
from pools.core.request import RequestHead
from pools.core.target import parse_asked, parse_length
from pools.wire.errors import Refused

_ONCE = (b"host", b"content-length", b"transfer-encoding")


class Request:
    """One request: its head, and what has come of its body and was not taken yet.

    Names in `headers` are lower case. `length` is None for a chunked body. `complete`: all of
    it has come. `upgrade`: it asks to switch protocols.
    """

    __slots__ = (
        "body",
        "body_bytes",
        "complete",
        "fields",
        "headers",
        "keep_alive",
        "length",
        "method",
        "received_bytes",
        "target",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        version: str,
        headers: Pairs,
        *,
        keep_alive: bool,
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.fields = dict(headers)  # the last of repeated ones
        self.keep_alive = keep_alive
        self.upgrade = False
        self.length: int | None = 0
        self.complete = False
        self.body: list[bytes] = []
        self.body_bytes = 0  # of `body`
        self.received_bytes = 0  # of the whole body so far

    def take(self) -> list[bytes]:
        """The pieces of the body that came since the last call."""
        pieces, self.body, self.body_bytes = self.body, [], 0
        return pieces

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a 100 (RFC 9110 §10.1.1); those of HTTP/1.0 cannot."""
        expect = self.fields.get(b"expect")
        return (
            expect is not None and expect.lower() == b"100-continue" and self.version != "1.0"
        )


class Arrival:
    """What a request asks for, and where it came from. Plain as core/request.py says.

    `query` holds its question mark. `host` is the authority asked for, b"" when an HTTP/1.0
    request named none.
    """

    __slots__ = ("head", "host", "origin", "query")

    def __init__(self, head: RequestHead, origin: Origin, query: bytes, host: bytes) -> None:
        self.head = head
        self.origin = origin
        self.query = query
        self.host = host


def receive(request: Request, *, peer: str, scheme: str, rules: HeaderRules) -> Arrival:
    """Reads a request's head; raises Refused for one that must not be served."""
    fields = request.fields
    if request.version != "1.1" and request.version != "1.0":
        raise Refused(505, f"HTTP/{request.version} is not served")
    if request.method == b"CONNECT" or request.method == b"TRACE":
        raise Refused(405, f"{request.method.decode()} is not served")
    if len(fields) != len(request.headers):
        names = [name for name, _ in request.headers]
        for once in _ONCE:
            if names.count(once) > 1:
                raise Refused(400, f"{once.decode()} is repeated")
    try:
        _measure(request)
        target, host, name = parse_asked(
            request.target,
            fields.get(b"host"),
            method=request.method,
            version=request.version,
        )
    except ValueError as error:
        raise Refused(400, str(error)) from None
    origin = rules.origin(peer=peer, scheme=scheme, host=host, headers=request.headers)
    head = RequestHead(request.method, name, target.path, request.headers, origin.client)
    return Arrival(head, origin, target.query, host)


def _measure(request: Request) -> None:
    """Sets the length of the body, as the request's framing says (RFC 9112 §6.3). Raises
    Refused, or ValueError."""
    fields = request.fields
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if request.version == "1.0":
            raise Refused(400, "HTTP/1.0 has no transfer codings")
        if coding.lower() != b"chunked":
            raise Refused(501, "a transfer coding other than chunked is not served")
        request.length = None
        return
    length = fields.get(b"content-length")
    if length is not None:
        # llhttp has read it already; this holds whatever it tolerates.
        request.length = parse_length(length)
