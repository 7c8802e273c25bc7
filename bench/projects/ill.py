"""A backend that may say that it is ill, and writes down when it was asked what."""

from __future__ import annotations

import socketserver
import threading
import time
from contextlib import suppress

_BODY = b"Content-Length: 2\r\n\r\nok"
_ILL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Ill:
    """In threads of this process. `probes` and `requests` are times of time.monotonic since
    `begin`; probes are asked for at /health."""

    def __init__(self) -> None:
        self.begin(well=True)
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # who asked may go as it likes
                    while head := self._head():
                        self.wfile.write(outer.answer(head))

            def _head(self) -> bytes:
                first = self.rfile.readline()
                while line := self.rfile.readline():
                    if line == b"\r\n":
                        return first
                return b""

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def begin(self, *, well: bool) -> None:
        self.well = well
        self.probes: list[float] = []
        self.requests: list[float] = []

    def answer(self, head: bytes) -> bytes:
        probe = head.startswith(b"GET /health ")
        (self.probes if probe else self.requests).append(time.monotonic())
        if probe and not self.well:
            return _ILL
        return b"HTTP/1.1 200 OK\r\n" + _BODY

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
