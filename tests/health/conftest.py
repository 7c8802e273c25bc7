"""Backends that answer as a test says, on sockets of loopback."""

import asyncio
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvloop

from pools.core import codec
from pools.core.document import Backend as Spec
from pools.core.document import Pool
from pools.health.probes import Asker

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Backend:
    """Accepts connections until its test ends; each is `answer(connection, head)`'s.

    An answer of bytes is sent as it is. `heads` are the request heads that came. With a
    `path` it listens at a Unix socket.
    """

    def __init__(self, answer=OK, *, family=socket.AF_INET, wrap=None, path=None):
        self.answer = answer
        self.heads = []
        self._wrap = wrap
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen()
            self.host, self.port = f"unix:{path}", 0
        else:
            host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
            self._listener = socket.create_server((host, 0), family=family)
            self.host, self.port = self._listener.getsockname()[:2]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while not self._ended.is_set():
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                self._serve(connection)

    def _serve(self, connection):
        connection.settimeout(5)
        if self._wrap:
            connection = self._wrap(connection)
        with connection:
            head = connection.recv(65536)
            if not head:
                return
            self.heads.append(head)
            if isinstance(self.answer, bytes):
                connection.sendall(self.answer)
            else:
                self.answer(connection, self._ended)

    def close(self):
        self._ended.set()
        with suppress(OSError), socket.socket(self._listener.family) as last:
            last.connect(self._listener.getsockname())
        self._thread.join()
        self._listener.close()


@contextmanager
def backends():
    """Gives start(answer, …) -> Backend; all are closed at its end."""
    with ExitStack() as stack:

        def start(*args, **kwargs):
            started = Backend(*args, **kwargs)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture
def backend():
    with backends() as start:
        yield start


def pool_of(*, tls=None, **settings):
    """A pool with these settings of its probe; the time-out is long where a test sets none."""
    probe = {"timeout_s": 5.0, "interval_s": 60.0, **settings}
    return codec.parse_part(Pool, {"name": "web", "probe": probe, "tls": tls or {}})


@pytest.fixture(
    params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def run(request):
    """run(work) -> what `work`, a function of an Asker, gives; on either kind of loop."""

    def run(work):
        async def main():
            return await work(Asker(asyncio.get_running_loop()))

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main())

    return run


@pytest.fixture
def ask(run):
    """ask(port, host=…, scheme=…, tls=…, steps=…, **probe) -> Result."""

    def ask(port=0, *, host="127.0.0.1", scheme="http", steps=None, **settings):
        spec = Spec(host=host, port=port, scheme=scheme)
        return run(lambda asker: asker.ask(pool_of(**settings), spec, steps))

    return ask
