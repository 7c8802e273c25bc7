"""gunicorn's threaded worker, with bounds on clients that are slow to ask or deaf.

As it comes, a thread waits for ever for the rest of a request's head, and for ever for a
client that does not read: as many such clients as there are threads stop a process.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

# Linux alone has it; elsewhere a deaf client keeps its thread.
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Worker(ThreadWorker):  # type: ignore[misc]
    """`HEAD_S` bounds a request's head as a whole (HAProxy `timeout http-request`), `DEAF_S`
    how long a client may take nothing of what was sent to it (nginx `send_timeout`)."""

    HEAD_S = 10.0
    DEAF_S = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heads: dict[Any, float] = {}  # until when each head must be there
        self.log.error_log.addFilter(_is_no_deaf_client)

    def accept(self, listener: socket.socket) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            # Where serving ends, the listener is shut down for all who hold it.
            if error.errno != errno.EINVAL:
                raise

    def handle(self, conn: Any) -> Any:
        if _USER_TIMEOUT and not conn.initialized:
            # The kernel ends it: a thread that waits in sendall() cannot look at a clock.
            with suppress(OSError):  # a Unix socket has none
                conn.sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(self.DEAF_S * 1000))
        self._heads[conn] = time.monotonic() + self.HEAD_S
        try:
            return super().handle(conn)
        finally:
            self._heads.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        if self._heads.pop(conn, None) is None:
            return False  # `notify` had it first, and has answered
        return super().handle_request(req, conn)

    def notify(self) -> None:
        """Called each second: answer 408 where the head is not there in time."""
        super().notify()
        now = time.monotonic()
        for conn, until in self._heads.copy().items():
            if now >= until and self._heads.pop(conn, None) is not None:
                with suppress(OSError):
                    conn.sock.send(_TOO_SLOW, socket.MSG_DONTWAIT)
                    conn.sock.shutdown(socket.SHUT_RD)  # its thread reads the end


def _is_no_deaf_client(record: logging.LogRecord) -> bool:
    """gunicorn logs a trace where the kernel gave a client up; there is nothing to mend."""
    return not (record.exc_info and isinstance(record.exc_info[1], TimeoutError))
