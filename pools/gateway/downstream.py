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
import select
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, cast

from pools.gateway import answers
from pools.gateway.forwarding import MOST_BUFFERED, Forwarding
from pools.gateway.progress import PEER_CLOSED, events_now, untaken_bytes
from pools.gateway.reader import RequestReader
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
        "_current",
        "_gateway",
        "_head_timed",
        "_leaving",
        "_pumping",
        "_read_paused",
        "_reader",
        "_scheme",
        "_stuck_since",
        "_transport",
        "_unsent_bytes",
        "deadline",
        "peer",
        "write_paused",
    )

    _transport: asyncio.Transport

    def __init__(self, gateway: Gateway, *, scheme: str, peer: str | None) -> None:
        self._gateway = gateway
        self._scheme = scheme
        self.peer = peer or ""
        self._reader = RequestReader(gateway.conf)
        self._head_timed = True  # the deadline is that of a head
        self._current: Forwarding | None = None
        self._leaving = False  # the last answer is written; what comes is thrown away
        self._pumping = False
        self._read_paused = False
        self.write_paused = False
        self._unsent_bytes = 0  # when last looked at, and since when it is so
        self._stuck_since = 0.0
        self.deadline = 0.0

    # --- what the event loop calls -----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        if not self.peer:
            self.peer = address_of(transport.get_extra_info("peername"))
        self.deadline = monotonic() + self._gateway.conf.client_header_timeout_s
        if not self._gateway.welcome(self):
            self._leaving = True
            self._transport.write(_TOO_MANY)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        reader, current = self._reader, self._current
        request = reader.arriving
        reader.feed(data)
        if reader.refusal is not None:
            refused = reader.give_up_arriving()
            if current is not None and current.request is refused:
                current.refuse(reader.refusal.status, reader.refusal.reason)
        elif request is not None and current is not None and current.request is request:
            current.body_came()
            if request.body_bytes > MOST_BUFFERED:
                self._pause()
        if self._current is None and self._pump() and not self._head_timed and reader.in_head:
            self._head_timed = True
            self.deadline = monotonic() + self._gateway.conf.client_header_timeout_s
        if reader.behind:
            self._pause()

    def eof_received(self) -> None:
        """The transport closes itself then."""
        self._leaving = True
        self.deadline = monotonic() + LINGER_S
        self._leave_alone()

    def connection_lost(self, error: Exception | None) -> None:
        self._gateway.farewell(self)
        self._leaving = True
        self._leave_alone()
        self._reader.close()

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

    # --- requests ------------------------------------------------------------------------

    def _pump(self) -> bool:
        """Serve what waits, until one has to wait for its backend. Whether none does, and
        another may come."""
        if self._pumping:
            return False  # a request that ended at once: the loop below goes on
        reader = self._reader
        self._pumping = True
        try:
            while not (self.busy or self._leaving or self.write_paused):
                if reader.waiting:
                    self._begin(reader.waiting.pop(0))
                elif reader.read_on():
                    if reader.refusal is not None:
                        reader.give_up_arriving()
                elif reader.refusal is not None:
                    self._refuse(reader.refusal)
                else:
                    break
        finally:
            self._pumping = False
        self.body_taken()
        return not self.busy and not self._leaving

    def _begin(self, request: Request) -> None:
        gateway = self._gateway
        try:
            arrived = receive(request, peer=self.peer, scheme=self._scheme, rules=gateway.rules)
        except Refused as refusal:
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

    def finished(self, keep: bool, now: float = 0.0) -> None:
        """The current request is answered, `now` or at this very moment; `keep`: the
        connection goes on."""
        self._current = None
        if not keep:
            self._leave()
            return
        reader, conf = self._reader, self._gateway.conf
        self._head_timed = reader.in_head
        self.deadline = (now or monotonic()) + (
            conf.client_header_timeout_s if self._head_timed else conf.client_keepalive_s
        )
        if self._gateway.draining:
            self.close_idle()
        self._pump()

    def body_taken(self) -> None:
        """Read on, if there is room for more."""
        if not self._read_paused or self._leaving or self._transport.is_closing():
            return
        if not self._reader.behind:
            self._read_paused = False
            self._transport.resume_reading()

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
        reader = self._reader
        unread = reader.arriving or reader.refusal or reader.behind
        if unread and transport.can_write_eof():
            if self._read_paused:
                self._read_paused = False
                transport.resume_reading()
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

    def close_idle(self, *, unasked: bool = True) -> bool:
        """Close it if no request is under way; whether it was. `unasked`: even if it has not
        had its first one."""
        if self._leaving or self.busy or self._reader.behind or self._reader.in_head:
            return False
        if self._head_timed and not unasked:
            return False
        self._leaving = True
        self._transport.close()
        self.deadline = 0.0  # TLS would wait for the client's own end, and that for long
        return True

    def leave_to_tunnel(self) -> tuple[bytes, asyncio.Transport]:
        """The connection switches protocols: what came behind the request, and where."""
        self._leaving = True
        rest = self._reader.rest or b""
        self._reader.close()
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
            if self._has_left():
                self._leave_alone()
                self._transport.abort()
            else:
                self._current.check(now)
        elif self._takes_something(now):
            self.deadline = now + LINGER_S
        elif self._leaving:
            self._transport.abort()
        elif self._reader.in_head:
            self._refuse(Refused(408, "the header did not come in time"))
        elif self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._leaving = True
            self._transport.close()

    def _takes_something(self, now: float) -> bool:
        """Whether the client still takes the last answer, however slowly."""
        if not self._transport.get_write_buffer_size():
            return False
        left = self.untaken_bytes
        if left != self._unsent_bytes:
            self._unsent_bytes, self._stuck_since = left, now
        return now - self._stuck_since < self._gateway.conf.client_send_timeout_s

    def _leave_alone(self) -> None:
        """The client has left."""
        current, self._current = self._current, None
        if current is not None:
            current.client_left()

    def _has_left(self) -> bool:
        """Whether a client that is not read from has closed; elsewhere than on Linux that is
        seen once it is read from."""
        gone = PEER_CLOSED | select.POLLHUP | select.POLLERR
        return self._read_paused and bool(events_now(self._transport, gone))

    def _pause(self) -> None:
        if not self._read_paused and not self._leaving:
            self._read_paused = True
            self._transport.pause_reading()


_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def address_of(peername: object) -> str:
    """The address of a peer; "" for a Unix socket."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    address = str(peername[0]).partition("%")[0]
    # A dual-stack listener shows 10.0.0.1 as ::ffff:10.0.0.1.
    if address.startswith("::ffff:") and "." in address:
        return address[7:]
    return address
