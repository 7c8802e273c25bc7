"""A client on a raw socket: it sends exactly what it is told and hides nothing."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

PATIENCE_S = 10.0

Pairs = list[tuple[bytes, bytes]]
Address = tuple[str, int] | str  # str: the path of a Unix socket


@dataclass(slots=True)
class Response:
    """`cut`: the connection ended before the body did, as its framing says."""

    status: int
    reason: bytes
    headers: Pairs
    body: bytes = b""
    cut: bool = False

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]

    def one(self, name: str) -> bytes | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


def ask(
    target: str = "/",
    *fields: str,
    host: str = "plain.test",
    method: str = "GET",
    body: bytes = b"",
    version: str = "1.1",
) -> bytes:
    """A request as clients send it; with a Content-Length where it has a body."""
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Client:
    """One connection to the plane; `source` is the address it comes from."""

    def __init__(self, address: Address, source: str = "127.0.0.1") -> None:
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE_S)
            self.sock.connect(address)
        else:
            own = (source, 0) if ":" not in address[0] else None
            self.sock = socket.create_connection(address, PATIENCE_S, own)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, *args: Any, **kwargs: Any) -> None:
        self.send(ask(*args, **kwargs))

    def finish(self) -> None:
        """Sends no more, and goes on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def ended(self) -> bool:
        """Waits for the other end to close, or to reset; False: it sent something."""
        try:
            return not self._buffer and not self.sock.recv(1)
        except ConnectionError:
            return True

    def reset(self) -> None:
        """Leave rudely: the other end gets a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def head(self) -> Response:
        """The next head, be it of a 1xx; EOFError where the connection ends."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        _, status, reason = (first + b" ").split(b" ", 2)
        pairs = [line.split(b":", 1) for line in lines]
        return Response(
            int(status), reason.strip(), [(name, value.strip()) for name, value in pairs]
        )

    def response(self, method: str = "GET") -> Response:
        """The final answer with its body."""
        while (response := self.head()).status < 200:
            pass
        if method == "HEAD" or response.status in (204, 304):
            return response
        try:
            if (response.one("Transfer-Encoding") or b"").lower() == b"chunked":
                while size := int(self.line(), 16):
                    response.body += self.exactly(size)
                    assert self.exactly(2) == b"\r\n"
                while self.line():
                    pass
            elif (length := response.one("Content-Length")) is not None:
                response.body = self.exactly(int(length))
            else:
                response.body = self.rest()
        except (EOFError, ConnectionError):
            response.cut = True
            response.body += self._buffer
        return response

    def line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def rest(self) -> bytes:
        """All until the connection ends in order; ConnectionError where it is reset."""
        while data := self.sock.recv(65_536):
            self._buffer += data
        data, self._buffer = self._buffer, b""
        return data

    def _more(self) -> None:
        data = self.sock.recv(65_536)
        if not data:
            raise EOFError
        self._buffer += data
