from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

OK = (200, {}, b"ok")


class Receiver:
    """A server that answers each POST by its script: (status, headers, body), the last again.

    A callable of the script is called with the handler instead. `got` are the requests, as
    (path, headers, body).
    """

    def __init__(self, *script: object) -> None:
        self.script = list(script or [OK])
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                many = len(receiver.script) > 1
                answer = receiver.script.pop(0) if many else receiver.script[0]
                if callable(answer):
                    answer(self)
                    return
                status, headers, content = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hangs(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers nothing until the test ends."""
        self.ended.wait(30)

    def drips(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte of the head now and then, until the test ends."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.ended.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    """receiver(*script) -> Receiver, closed when the test ends."""
    with ExitStack() as stack:

        def start(*script: object) -> Receiver:
            started = Receiver(*script)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture(autouse=True)
def no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
