"""gunicorn's threaded worker, with bounds on clients that are slow to ask, deaf, or stay.

As it comes, a thread waits for ever for the rest of a request's head, and for ever for a
client that does not read: as many such clients as there are threads stop a process. And
the main thread, which accepts and dispatches for all, waits up to 2 s for each client that
it closes on.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
# Linux alone has it; elsewhere a deaf client keeps its thread.
_TCP_INFO = getattr(socket, "TCP_INFO", None)
_BYTES_ACKED = struct.Struct("=120xQ")  # tcpi_bytes_acked in struct tcp_info


class Worker(ThreadWorker):  # type: ignore[misc]
    """`HEAD_S` bounds a request's head as a whole (HAProxy `timeout http-request`), `DEAF_S`
    how long a client may take nothing of what was sent to it (nginx `send_timeout`),
    `LINGER_S` how long one may stay after the last answer (nginx `lingering_timeout`)."""

    HEAD_S = 10.0
    DEAF_S = 60.0
    LINGER_S = 2.0
    LINGER_MOST = 256  # connections; who is one too many is closed on at once

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heads: dict[Any, float] = {}  # until when each head must be there
        # Connections being answered: what was taken, and since when it is no more.
        self._answering: dict[Any, tuple[int, float]] = {}
        self._lingering: dict[Any, float] = {}  # until when; of the main thread alone

    def accept(self, listener: socket.socket) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            # Where serving ends, the listener is shut down for all who hold it.
            if error.errno != errno.EINVAL:
                raise

    def handle(self, conn: Any) -> Any:
        conn.close = partial(self._close, conn)
        self._heads[conn] = time.monotonic() + self.HEAD_S
        try:
            return super().handle(conn)
        finally:
            self._heads.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        if self._heads.pop(conn, None) is None:
            return False  # `notify` had it first, and has answered
        self._answering[conn] = (0, time.monotonic())
        try:
            return super().handle_request(req, conn)
        finally:
            del self._answering[conn]

    def notify(self) -> None:
        """Called each second, on the main thread: end what took too long."""
        super().notify()
        now = time.monotonic()
        for conn, until in self._heads.copy().items():
            if now >= until and self._heads.pop(conn, None) is not None:
                with suppress(OSError):
                    conn.sock.send(_TOO_SLOW, socket.MSG_DONTWAIT)
                    conn.sock.shutdown(socket.SHUT_RD)  # its thread reads the end
        for conn, (taken, since) in self._answering.copy().items():
            # What is not TCP, or closed meanwhile, has no such figures.
            with suppress(OSError, ValueError):
                self._see_progress(conn, taken, since, now)
        for conn, until in self._lingering.copy().items():
            if now >= until:
                self._end(conn)

    def _see_progress(self, conn: Any, taken: int, since: float, now: float) -> None:
        if _TCP_INFO is None:
            return
        waiting = struct.unpack("i", fcntl.ioctl(conn.sock, termios.TIOCOUTQ, bytes(4)))[0]
        info = conn.sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.size)
        (acked,) = _BYTES_ACKED.unpack(info.ljust(_BYTES_ACKED.size, b"\0"))
        if not waiting or acked != taken:
            if conn in self._answering:
                self._answering[conn] = (acked, now)
        elif now - since >= self.DEAF_S:
            conn.sock.shutdown(socket.SHUT_RDWR)  # its thread gets an error from sendall()

    # --- closing without waiting -------------------------------------------------------

    def _close(self, conn: Any, graceful: bool = False) -> None:
        """As TConn.close. A graceful one lets the client have the answer: bytes of it that
        nobody read would make the kernel reset the connection (RFC 9112 §9.6)."""
        sock = conn.sock
        if graceful and len(self._lingering) < self.LINGER_MOST:
            with suppress(OSError, ValueError):
                sock.shutdown(socket.SHUT_WR)
                sock.setblocking(False)
                self.poller.register(sock, EVENT_READ, partial(self._drain, conn))
                self._lingering[conn] = time.monotonic() + self.LINGER_S
                self.nr_conns += 1  # it is no less open than before
                return
        util.close(sock)

    def _drain(self, conn: Any, sock: socket.socket) -> None:
        try:
            if sock.recv(65_536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # reset: there is nothing left to drain
        self._end(conn)

    def _end(self, conn: Any) -> None:
        del self._lingering[conn]
        self.nr_conns -= 1
        with suppress(KeyError, ValueError, OSError):
            self.poller.unregister(conn.sock)
        util.close(conn.sock)
