"""One client's connection: requests come in, and are answered one at a time and in order.

Rules:
- What is malformed is answered with its status, after the answers to what came before it,
  and ends the connection; nothing of it reaches a backend.
- While one request is served, at most one piece of what comes behind it is parsed: then the
  client is not read from. The same holds while its body is not taken.
- A client that closes, or closes its sending side, has left: nobody waits for its answers.
- Whatever closes with a client still sending is closed gently, so that the client gets the
  answer: it is read and thrown away for LINGER_S (nginx lingering_close).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import httptools

from pools.core.headers import Pairs
from pools.gateway import answers
from pools.gateway.forwarding import MOST_BUFFERED, Forwarding
from pools.gateway.progress import untaken_bytes
from pools.gateway.requests import Arrival, Request, receive
from pools.wire.errors import Refused

if TYPE_CHECKING:
    from pools.gateway.gateway import Gateway

LINGER_S = 2.0
_RESET = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends a reset


class Downstream(asyncio.Protocol):
    """`deadline`: when the sweep has to look at it, on the clock of time.monotonic; 0: each
    time. `write_paused`: more waits to be sent to the client than is good."""

    __slots__ = (
        "_arriving",
        "_check_sizes",
        "_current",
        "_fed_bytes",
        "_gateway",
        "_headers",
        "_in_head",
        "_leaving",
        "_parser",
        "_pumping",
        "_read_paused",
        "_refusal",
        "_rest",
        "_scheme",
        "_target",
        "_transport",
        "_waiting",
        "deadline",
        "peer",
        "write_paused",
    )

    _transport: asyncio.Transport
    _parser: Any  # None once the connection is lost

    def __init__(self, gateway: Gateway, *, scheme: str, peer: str | None) -> None:
        self._gateway = gateway
        self._scheme = scheme
        self.peer = peer or ""
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: Pairs = []
        self._in_head = True  # its time runs
        self._fed_bytes = 0  # since something was complete
        self._check_sizes = False  # so much came at once that a head may be too large
        self._rest: bytes | None = None  # what came behind a request to switch protocols
        self._arriving: Request | None = None  # its body is coming
        self._waiting: list[Request] = []  # behind the one that is served
        self._current: Forwarding | None = None
        self._refusal: Refused | None = None  # what comes is malformed
        self._leaving = False  # the last answer is written; what comes is thrown away
        self._pumping = False
        self._read_paused = False
        self.write_paused = False
        self.deadline = 0.0

    # --- what the event loop calls -----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        if not self.peer:
            self.peer = _address(transport.get_extra_info("peername"))
        self.deadline = monotonic() + self._gateway.conf.client_header_timeout_s
        if not self._gateway.welcome(self):
            self._leaving = True
            self._transport.write(_TOO_MANY)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        arriving = self._arriving
        if arriving is not None:
            self._more_body(arriving, data)
            return
        self._fed_bytes += len(data)
        if self._fed_bytes > self._gateway.conf.max_header_bytes:
            self._check_sizes = True
        self._feed(data)
        if self._refusal is not None:
            self._refuse_what_comes()
        if self._current is None and self._pump():
            self._await_head()
        if (self._waiting or self._rest is not None) and not self._read_paused:
            self._pause()

    def eof_received(self) -> None:
        """The transport closes itself then."""
        if self._current is not None:
            current, self._current = self._current, None
            current.client_left()

    def connection_lost(self, error: Exception | None) -> None:
        self._gateway.farewell(self)
        current, self._current = self._current, None
        if current is not None:
            current.client_left()
        self._leaving = True
        self._waiting = []
        self._parser = None

    def pause_writing(self) -> None:
        self.write_paused = True
        if self._current is not None:
            self._current.client_full()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._current is not None:
            self._current.client_free()
        else:
            self._pump()

    # --- what the parser calls -----------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._arriving is None:  # afterwards: trailers, which are dropped
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        headers = self._headers
        conf = self._gateway.conf
        if len(self._target) > conf.max_target_bytes:
            self._refusal = self._refusal or Refused(414, "the target is too long")
        elif len(headers) > conf.max_header_fields:
            self._refusal = self._refusal or Refused(431, "there are too many header fields")
        elif self._check_sizes and _size(headers) > conf.max_header_bytes:
            self._refusal = self._refusal or Refused(431, "the header is too large")
        request = self._arriving = Request(
            parser.get_method(),
            self._target,
            parser.get_http_version(),
            headers,
            keep_alive=parser.should_keep_alive(),
            upgrade=parser.should_upgrade(),
        )
        self._target = b""
        self._headers = []
        if self._refusal is None:
            self._waiting.append(request)

    def on_body(self, data: bytes) -> None:
        request = self._arriving
        if request is not None:
            request.body.append(data)
            request.body_bytes += len(data)
            request.received_bytes += len(data)

    def on_message_complete(self) -> None:
        request = self._arriving
        if request is not None:
            request.complete = True
        self._arriving = None
        self._fed_bytes = 0

    # --- requests ------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switch:
            # llhttp stops behind a request that asks for another protocol. What follows is
            # that one's if an answer agrees, and HTTP if none does.
            self._rest = data[switch.args[0] :]
            self._parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserError as error:
            self._refusal = self._refusal or Refused(400, str(error))

    def _await_head(self) -> None:
        """Between requests, or within a head that is not all here."""
        if not self._target and not self._headers:
            return
        if not self._in_head:
            self._in_head = True
            self.deadline = monotonic() + self._gateway.conf.client_header_timeout_s
        if self._check_sizes:
            conf = self._gateway.conf
            if len(self._target) > conf.max_target_bytes:
                self._refusal = Refused(414, "the target is too long")
            elif max(self._fed_bytes, _size(self._headers)) > conf.max_header_bytes:
                self._refusal = Refused(431, "the header is too large")
            self._pump()

    def _more_body(self, request: Request, data: bytes) -> None:
        """More of the body of a request whose head came before."""
        before = request.received_bytes
        self._feed(data)
        if request.received_bytes > before or request.complete:
            self._fed_bytes = 0
        else:
            # Sizes of chunks, their extensions and trailers: what has no end is refused.
            self._fed_bytes += len(data)
            if self._fed_bytes > self._gateway.conf.max_header_bytes:
                self._refusal = self._refusal or Refused(400, "a chunk's head is too large")
        current = self._current
        if self._refusal is not None:
            self._refuse_what_comes()
        elif current is not None and current.request is request:
            current.body_came()
            if request.body_bytes > MOST_BUFFERED and not self._read_paused:
                self._pause()
        if self._current is None:
            self._pump()
        if (self._waiting or self._rest is not None) and not self._read_paused:
            self._pause()

    def _refuse_what_comes(self) -> None:
        """What is malformed belongs to the request that is arriving, or to none yet."""
        arriving, self._arriving = self._arriving, None
        refusal, current = self._refusal, self._current
        if arriving is None or refusal is None:
            return
        if current is not None and current.request is arriving:
            current.refuse(refusal.status, refusal.reason)
        elif arriving in self._waiting:
            self._waiting.remove(arriving)

    def _pump(self) -> bool:
        """Serve what waits, until one has to wait for its backend. Whether none does, and
        another may come."""
        if self._pumping:
            return False  # a request that ended at once: the loop below goes on
        self._pumping = True
        try:
            while self._current is None and not self._leaving and not self.write_paused:
                if self._waiting:
                    self._begin(self._waiting.pop(0))
                elif self._refusal is not None:
                    self._refuse(self._refusal)
                else:
                    break
        finally:
            self._pumping = False
        if (
            self._read_paused
            and not self._waiting
            and not self._leaving
            and self._rest is None
            and not self._transport.is_closing()
        ):
            self._resume()
        return not self.busy and not self._leaving

    def _begin(self, request: Request) -> None:
        gateway = self._gateway
        try:
            arrived = receive(request, peer=self.peer, scheme=self._scheme, rules=gateway.rules)
        except Refused as refusal:
            self._waiting = []
            self._refuse(refusal, request)
            return
        route = gateway.engine.match(arrived.head)
        if route is None:
            self._answer_unrouted(request, arrived)
            return
        forwarding = Forwarding(gateway, self, request, arrived, route)
        self._current = forwarding
        self.deadline = 0.0
        forwarding.start()

    def finished(self, keep: bool) -> None:
        """The current request is answered; `keep`: the connection goes on."""
        self._current = None
        if not keep:
            self._leave()
            return
        conf = self._gateway.conf
        self._in_head = bool(self._target or self._headers)
        self.deadline = monotonic() + (
            conf.client_header_timeout_s if self._in_head else conf.client_keepalive_s
        )
        rest, self._rest = self._rest, None
        if rest:
            self._fed_bytes = len(rest)
            self._feed(rest)
        self._pump()

    def body_taken(self) -> None:
        """The current request's body has gone on: there is room for more."""
        if self._read_paused and not self._waiting and self._rest is None:
            self._resume()

    # --- answers of our own ----------------------------------------------------------------

    def _answer_unrouted(self, request: Request, arrived: Arrival) -> None:
        gateway = self._gateway
        keep = request.keep_alive and request.complete and not gateway.draining
        # Without a configuration nobody can say that there is no route.
        status = 404 if gateway.loaded() else 503
        sent = self._answer(request, status, arrived.origin.request_id, keep=keep)
        gateway.records.unrouted(request, arrived, status=status, sent_bytes=sent)
        self.finished(keep)

    def _refuse(self, refusal: Refused, request: Request | None = None) -> None:
        records, request_id = self._gateway.records, self._gateway.make_id()
        sent = self._answer(request, refusal.status, request_id, keep=False)
        records.refused(
            self.peer,
            request,
            status=refusal.status,
            request_id=request_id,
            sent_bytes=sent,
            why=refusal.reason,
        )
        self._leave()

    def _answer(
        self, request: Request | None, status: int, request_id: bytes, *, keep: bool
    ) -> int:
        """Write an answer of our own; the length of its body."""
        data, length = answers.error(
            status,
            method=request.method if request is not None else b"GET",
            version=request.version if request is not None else "1.1",
            accept=request.fields.get(b"accept", b"") if request is not None else b"",
            request_id=request_id,
            keep=keep,
            retry_after_s=int(status == 503),
        )
        self.write(data)
        return length

    # --- writing, and ends -------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    @property
    def untaken_bytes(self) -> int:
        """What the client has not taken yet."""
        return untaken_bytes(self._transport)

    def _leave(self) -> None:
        """The last answer is written: close, and gently where the client still sends."""
        self._leaving = True
        transport = self._transport
        if transport.is_closing():
            return
        unread = bool(self._arriving or self._refusal or self._waiting)
        if unread and transport.can_write_eof():
            if self._read_paused:
                self._resume()
            transport.write_eof()
            self.deadline = monotonic() + LINGER_S
        else:
            transport.close()
            self.deadline = monotonic() + self._gateway.conf.client_send_timeout_s

    def cut(self, *, reset: bool) -> None:
        """End the connection within an answer. Its framing tells the client that it is cut
        short; `reset`: it does not, as the answer ends with the connection."""
        self._leaving = True
        self._current = None
        if reset:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self._transport.close()
            self.deadline = monotonic() + LINGER_S

    def close_idle(self) -> bool:
        """Close it if no request is under way; whether it was."""
        if self._current is not None or self._waiting or self._target or self._headers:
            return False
        self._leaving = True
        self._transport.close()
        return True

    def leave_to_tunnel(self) -> tuple[bytes, asyncio.Transport]:
        """The connection switches protocols: what came behind the request, and where."""
        self._leaving = True
        rest, self._rest = self._rest or b"", None
        return rest, self._transport

    @property
    def busy(self) -> bool:
        """Whether a request is in progress."""
        return self._current is not None

    def abort(self) -> None:
        current = self._current
        if current is not None:
            current.cut("the gateway ends")
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """Called when `deadline` has passed."""
        if self._current is not None:
            self._current.check(now)
        elif self._leaving:
            self._transport.abort()
        elif self._target or self._headers:
            self._refusal = Refused(408, "the header did not come in time")
            self._pump()
        elif self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._leaving = True
            self._transport.close()

    def _pause(self) -> None:
        self._read_paused = True
        self._transport.pause_reading()

    def _resume(self) -> None:
        self._read_paused = False
        self._transport.resume_reading()


_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def _size(headers: Pairs) -> int:
    """As on the wire, with colon, space and line end."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _address(peername: object) -> str:
    """The address of a peer; "" for a Unix socket."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    address = str(peername[0]).partition("%")[0]
    # A dual-stack listener shows 10.0.0.1 as ::ffff:10.0.0.1.
    if address.startswith("::ffff:") and "." in address:
        return address[7:]
    return address
