"""Backends that are probed, in threads of the test's process."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

ANSWERS = {
    "up": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "down": b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


class Backend:
    """`mood` is "up", "down", "hang" (the connection is held and nothing said) or "hold"
    (held until `let_go`, then up). `asked` are the times of requests, of time.monotonic."""

    def __init__(self) -> None:
        self.mood = "up"
        self.asked: list[float] = []
        self.holding = 0
        self._let_go = threading.Event()
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def let_go(self) -> None:
        """Answer those that are held."""
        self.mood = "up"
        self._let_go.set()

    def hold(self) -> None:
        self._let_go.clear()
        self.mood = "hold"

    def close(self) -> None:
        self._ended.set()
        self._let_go.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def asked_since(self, since: float) -> int:
        """How often, from a time of time.monotonic on."""
        return sum(at >= since for at in self.asked)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.settimeout(60)
            if not sock.recv(65_536):
                return
            self.asked.append(time.monotonic())
            mood = self.mood
            if mood == "hang":
                sock.recv(1)
            elif mood == "hold":
                self.holding += 1
                self._let_go.wait()
                self.holding -= 1
                sock.sendall(ANSWERS["up"])
            else:
                sock.sendall(ANSWERS[mood])
