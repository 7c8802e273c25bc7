"""Backends on raw sockets, which do what a test tells them, right or wrong."""

from __future__ import annotations

import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.conformance.client import PATIENCE_S, Pairs

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Request:
    """A request as it came; `raw` is its head, byte for byte."""

    raw: bytes
    body: bytes = b""

    @property
    def line(self) -> bytes:
        return self.raw.partition(b"\r\n")[0]

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    @property
    def headers(self) -> Pairs:
        pairs = (line.partition(b":") for line in self.raw.split(b"\r\n")[1:] if line)
        return [(name.strip().lower(), value.strip()) for name, _, value in pairs]

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.headers if key == name.lower().encode()]

    def one(self, name: str) -> bytes | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


class Conversation:
    """A connection that the plane made to a backend."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number  # of this backend's connections, from 1
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self) -> Request | None:
        """The next request's head; None: the plane closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return Request(raw + b"\r\n")

    def request(self) -> Request | None:
        """The next request with its body, decoded; sends 100 to who expects it."""
        request = self.head()
        if request is None:
            return None
        if request.one("Expect"):
            self.send(CONTINUE)
        if request.one("Transfer-Encoding"):
            while chunk := self.chunk():
                request.body += chunk
        else:
            request.body = self.exactly(int(request.one("Content-Length") or 0))
        return request

    def chunk(self) -> bytes:
        """The next chunk; b"" for the last one."""
        size = int(self._until(b"\r\n"), 16)
        data = self.exactly(size)
        assert self.exactly(2) == b"\r\n"
        return data

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise EOFError
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def finish(self) -> None:
        """Sends no more, and goes on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def closed(self) -> bool:
        """Waits for the plane to close the connection; False: it sent something."""
        try:
            return not self.sock.recv(1)
        except ConnectionError:
            return True

    def drain(self) -> None:
        """Reads whatever comes until the plane closes."""
        while self._more():
            self._buffer = b""

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if not self._more():
                raise EOFError
        data, _, self._buffer = self._buffer.partition(mark)
        return data

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)


Script = Callable[[Conversation], None]


class Backend:
    """A listener, on a port of 127.0.0.1 if none is given; each connection is handed to
    `script`, in a thread of its own.

    `seen` holds what the standard script got. An exception in a script that is no broken
    connection is kept in `errors`, which the fixture looks at.
    """

    def __init__(
        self, tls: ssl.SSLContext | None = None, listener: socket.socket | None = None
    ) -> None:
        self._tls = tls
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._open: list[socket.socket] = []
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self.address[1]
        return port

    def reset(self) -> None:
        """Forget all of the last test, its connections too."""
        self.script: Script = self.answers(OK)
        self.seen: queue.Queue[Request] = queue.Queue()
        self.errors: list[BaseException] = []
        self.connections = 0
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._open = []

    def close(self) -> None:
        self.reset()
        self._listener.close()

    def answers(self, *answers: bytes) -> Script:
        """A script that keeps requests in `seen` and gives the answers by turns."""
        turns = iter(range(1 << 30))

        def script(plane: Conversation) -> None:
            while (request := plane.request()) is not None:
                self.seen.put(request)
                plane.send(answers[next(turns) % len(answers)])

        return script

    def closes_after(self, answer: bytes) -> Script:
        """A script that answers the first request of a connection and closes it."""

        def script(plane: Conversation) -> None:
            if (request := plane.request()) is not None:
                self.seen.put(request)
                plane.send(answer)

        return script

    def got(self) -> Request:
        """The next request that came."""
        return self.seen.get(timeout=PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(
                target=self._serve, args=(sock, self.connections), daemon=True
            ).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        errors = self.errors  # those of the test that is on now
        try:
            sock.settimeout(PATIENCE_S)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)  # it took the descriptor over
            with sock:
                self.script(Conversation(sock, number))
        except (OSError, EOFError):
            pass  # reset() closes it at any time, and a request that is cut is not `seen`
        except BaseException as error:
            errors.append(error)


def unused_port() -> int:
    """A port that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port
