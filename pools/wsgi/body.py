"""A request's body on its way from the WSGI server to a backend.

PEP 3333's read(size) may wait until the whole block is there. From gunicorn's readers the
pieces are taken as they arrive, and while the client pauses the backend is listened to.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pools.core.errors import PoolsError
from pools.wire.errors import ClientGone, Refused
from pools.wsgi.servers import Environ

BLOCK_BYTES = 65_536
CLIENT_IDLE_S = 60.0  # nginx client_body_timeout


class Upstream(Protocol):
    """The connection that a body goes to, as `Connection` is."""

    def fileno(self) -> int: ...

    def look(self) -> bool:
        """Whether the backend wants no more, as it has answered or closed."""

    def remaining_s(self, most_s: float) -> float:
        """`most_s`, or what is left of the exchange's time; 0 at its end."""


class _Answered(Exception):
    """The backend answered while the body was being waited for."""


class Body:
    """A request's body. `length` None: chunked, decoded by the server. `received_bytes`: what
    has come of it.

    Raises Refused with 413 when it is larger than `most_bytes` (0: no limit), 400 where
    its framing is broken, 411 when it is chunked and the server does not decode it, 408
    when the client stalls or the exchange's time ends before the body; ClientGone when it
    leaves.
    """

    def __init__(self, environ: Environ, *, most_bytes: int) -> None:
        self.length: int | None = 0
        self.replayable = True
        self.complete = False  # whether all of it was yielded
        self._environ = environ
        self._input: Any = environ["wsgi.input"]
        self._left: int | None = 0
        self._most_bytes = most_bytes
        self.received_bytes = 0

    def measure(self) -> None:
        """Finds the length in the request's head: comes before all else."""
        length = _length(self._environ)
        if length is not None and 0 < self._most_bytes < length:
            raise Refused(413, "the body is larger than this route takes")
        self.length = self._left = length
        self.complete = length == 0

    def pieces(self, upstream: Upstream) -> Generator[bytes, None, None]:
        """The body as it comes; ends early once the backend has answered."""
        if self.complete:
            return
        self.replayable = False
        unreader = _gunicorn_unreader(self._input)
        if unreader is None:
            yield from self._blocks(upstream)
            return
        try:
            with _listening(unreader, upstream):
                if self._left is None:
                    yield from self._chunks()
                else:
                    yield from self._arrivals(unreader)
        except _Answered:
            # Interrupted within a chunk, what follows cannot be told from a next request.
            self._input.failed = self._left is None
        except Exception:
            self._input.failed = True
            raise

    def _blocks(self, upstream: Upstream) -> Iterator[bytes]:
        """By PEP 3333 alone."""
        while self._left is None or self._left:
            if _readable(upstream.fileno()) and upstream.look():
                return
            if not upstream.remaining_s(CLIENT_IDLE_S):
                raise _late()
            size = BLOCK_BYTES if self._left is None else min(BLOCK_BYTES, self._left)
            piece: bytes = self._taken(self._input.read, size)
            if not piece:
                if self._left is not None:
                    raise ClientGone
                break
            if self._left is not None:
                self._left -= len(piece)
            yield piece
        self.complete = True

    def _chunks(self) -> Iterator[bytes]:
        """Each chunk, or the part of it that one arrival brought, from gunicorn."""
        chunks = self._input.reader.parser
        while (piece := self._taken(next, chunks, None)) is not None:
            if piece:
                yield piece
        self.complete = True

    def _arrivals(self, unreader: Any) -> Iterator[bytes]:
        """What each arrival brought of a body of known length, from gunicorn."""
        while self._left:
            piece = self._taken(unreader.read, None, self._left)
            if not piece:
                raise ClientGone
            if surplus := piece[self._left :]:  # the next request, pipelined
                unreader.unread(surplus)
                piece = piece[: self._left]
            self._left -= len(piece)
            self._input.reader.length = self._left
            yield piece
        self.complete = True

    def _taken(self, read: Callable[..., Any], *args: Any) -> Any:
        """One piece by `read`, whose errors are the client's; counted against the limit."""
        try:
            piece = read(*args)
        except (_Answered, PoolsError):
            raise
        except OSError as error:
            raise ClientGone from error
        except Exception as error:  # each server has its own; none of them is our fault
            raise Refused(400, f"the body's framing is broken: {error}") from error
        self.received_bytes += len(piece or b"")
        if 0 < self._most_bytes < self.received_bytes:
            raise Refused(413, "the body is larger than this route takes")
        return piece


def _length(environ: Environ) -> int | None:
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None:
        # gunicorn takes a few others before it, and leaves the body coded by them.
        if coding.strip().lower() != "chunked":
            raise Refused(501, f"no transfer coding but chunked is served: {coding}")
        # Only a server that says so decodes it and marks its end (PEP 3333 knows neither).
        if not environ.get("wsgi.input_terminated"):
            raise Refused(411, "this server takes no chunked body: send Content-Length")
        return None
    return int(environ.get("CONTENT_LENGTH") or "0")  # arrival.receive has seen to it


def _gunicorn_unreader(source: Any) -> Any:
    """What gunicorn's body reads its socket through, or None of another server's."""
    reader = getattr(source, "reader", None)
    unreader = getattr(reader, "unreader", None)  # of a known length
    if unreader is None:  # chunked
        unreader = getattr(getattr(reader, "req", None), "unreader", None)
    return unreader if isinstance(getattr(unreader, "sock", None), socket.socket) else None


@contextmanager
def _listening(unreader: Any, upstream: Upstream) -> Iterator[None]:
    """Within it, whoever waits for the client's bytes listens to the backend too."""
    sock = unreader.sock
    unreader.sock = _ListeningSocket(sock, upstream)
    try:
        yield
    finally:
        unreader.sock = sock


class _ListeningSocket:
    """Stands in for the client's socket; raises _Answered from a wait that is in vain."""

    def __init__(self, sock: socket.socket, upstream: Upstream) -> None:
        self._sock = sock
        self._upstream = upstream

    def recv(self, size: int) -> bytes:
        self._wait()
        return self._sock.recv(size)

    def _wait(self) -> None:
        if not self._upstream.remaining_s(CLIENT_IDLE_S):  # while bytes flow, too
            raise _late()
        pending = getattr(self._sock, "pending", None)  # TLS holds bytes that poll can't see
        if pending and pending():
            return
        client, backend = self._sock.fileno(), self._upstream.fileno()
        poll = select.poll()
        poll.register(client, select.POLLIN)
        poll.register(backend, select.POLLIN)
        while True:
            ready = dict(poll.poll(self._upstream.remaining_s(CLIENT_IDLE_S) * 1000))
            if not ready:
                raise _late()
            if backend in ready and self._upstream.look():
                raise _Answered
            if client in ready:
                return


def _late() -> Refused:
    return Refused(408, "the body did not come in time")


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
