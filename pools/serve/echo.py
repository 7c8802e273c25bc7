"""A demo backend: it says which one it is and what it was asked.

`python -m pools.serve.echo NAME PORT`. As text, or as JSON where that is accepted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"
IDLE_S = 75.0


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True
    wbufsize = -1  # the head and the body in one packet

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # any method will do
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        body_bytes = self._drain()
        if "application/json" in self.headers.get("Accept", ""):
            kind, text = "application/json", self._json(body_bytes)
        else:
            kind, text = "text/plain; charset=utf-8", self._text(body_bytes)
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, body_bytes: int) -> str:
        said = {
            "backend": self.server.name,
            "method": self.command,
            "path": self.path,
            "headers": self.headers.items(),
            "body_bytes": body_bytes,
        }
        return json.dumps(said, indent=2) + "\n"

    def _text(self, body_bytes: int) -> str:
        lines = [f"This is {self.server.name}. You asked:", "", self.requestline]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body_bytes:
            lines += ["", f"with a body of {body_bytes} bytes"]
        return "\n".join(lines) + "\n"

    def _drain(self) -> int:
        """Read the request's body, so that the connection can go on; its length."""
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self._skip(int(self.headers.get("Content-Length", 0)))
        total = 0
        while size := int(self.rfile.readline(1024).split(b";")[0], 16):
            total += self._skip(size)
            self.rfile.readline(8)
        while self.rfile.readline(65536).strip():
            pass  # trailers
        return total

    def _skip(self, length: int) -> int:
        left = length
        while left and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)
        return length - left

    def log_message(self, format: str, *args: Any) -> None:
        """Probes and requests come all the time: nothing is said of them."""

    server: EchoServer


class EchoServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        super().__init__((HOST, port), Echo)


def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    try:
        server = EchoServer(name, port)
    except OSError as error:
        raise SystemExit(f"{HOST}:{port} cannot be listened on: {error.strerror}") from None
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()
