"""One blocking HTTP/1.1 connection to a backend.

Written for this proxy because the usual clients hide what it has to see: urllib3 and
requests encode the target anew, read no answer while a body is being sent and drop 1xx;
http.client reads heads leniently.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable

from pools import net
from pools.core import keepalive
from pools.core.compiled import CompiledBackend, CompiledPool
from pools.core.errors import PoolsError
from pools.core.retry import FailureKind
from pools.wire.errors import ClientGone, OutOfTime, UpstreamError
from pools.wire.parser import Head, ResponseParser

CHUNK_BYTES = 65_536
EARLY_BYTES = 1_048_576  # of an answer, kept while its request is still being sent

# Linux tells at once that the other end closed; elsewhere a hang-up shows when writing.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Watch:
    """Waits for a backend, for no longer than allowed and while there is a client.

    `idle_s` bounds each wait. `deadline` (time.monotonic, or None) bounds all of them and
    what comes without waiting; `exchange_s` is the time from the exchange's begin to it.
    `client` is the client's socket as far as the server in front lets us see it.
    """

    __slots__ = ("_client", "_deadline", "_fair_s", "_idle_s")

    def __init__(
        self, *, idle_s: float, exchange_s: float, deadline: float | None, client: int | None
    ) -> None:
        self._idle_s = idle_s
        self._deadline = deadline
        self._fair_s = exchange_s / 2
        self._client = client

    def remaining_s(self, most_s: float) -> float:
        """`most_s`, or what is left until the deadline; 0 once it has passed."""
        if self._deadline is None:
            return most_s
        return min(most_s, max(0.0, self._deadline - time.monotonic()))

    def check(self) -> None:
        """Raises OutOfTime once the deadline has passed."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise OutOfTime

    def wait(self, sock: socket.socket, events: int) -> int:
        """The events of `sock` that came; raises UpstreamError, OutOfTime or ClientGone."""
        left_s = self.remaining_s(self._idle_s)
        if not left_s:
            raise OutOfTime
        poll = select.poll()
        fd = sock.fileno()
        poll.register(fd, events)
        if self._client is not None:
            poll.register(self._client, _PEER_CLOSED)
        ready = dict(poll.poll(left_s * 1000))
        if not ready:
            raise self._silence(left_s, events)
        if self._client is not None and self._client in ready:
            raise ClientGone
        return ready[fd]

    def _silence(self, waited_s: float, events: int) -> PoolsError:
        """What a wait in vain means.

        1. The backend had all of `idle_s`: it failed.
        2. The deadline came first, but half of the exchange and more went by in this wait
           for an answer: it failed too.
        3. It had less, as the client or other backends used the time up. If that counted,
           a client that is slow on purpose could have healthy backends ejected.
        """
        if waited_s >= self._idle_s:
            return UpstreamError(FailureKind.TIMEOUT, "the backend did not answer in time")
        if waited_s >= self._fair_s and not events & select.POLLOUT:
            return UpstreamError(FailureKind.TIMEOUT, "the exchange took too long")
        return OutOfTime()


class Connection:
    """A connection and the exchange that is on it now. Of one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._watch = Watch(idle_s=0, exchange_s=0, deadline=None, client=None)
        self._parser = ResponseParser(b"")
        self.reused = False
        self.sent = False
        self.answered = False

    def begin(self, method: bytes, watch: Watch, *, reused: bool) -> None:
        """Makes it ready for the next request."""
        self._watch = watch
        self._parser = ResponseParser(method)
        self.reused = reused
        self.sent = False
        self.answered = False

    def fileno(self) -> int:
        return self._sock.fileno()

    def remaining_s(self, most_s: float) -> float:
        """`most_s`, or what is left of the exchange's time; 0 at its end."""
        return self._watch.remaining_s(most_s)

    def is_quiet(self) -> bool:
        """Whether an idle connection is open and nothing came that nobody asked for."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def send(self, data: bytes) -> bool:
        """Writes all of `data`, reading meanwhile; False: the answer came, no more is wanted.

        What cannot be written because the backend closed is no failure yet: it may have
        answered before.
        """
        view = memoryview(data)
        while view:
            try:
                count = self._sock.send(view)
                self.sent = True
                view = view[count:]
            except _WOULD_BLOCK:
                events = self._watch.wait(self._sock, select.POLLIN | select.POLLOUT)
                if events & ~select.POLLOUT and self.look():
                    return False
            except OSError:
                return False
        return True

    def look(self) -> bool:
        """Takes what has come without waiting; True: no more of the request is wanted.

        That is so once the answer is whole or an error, or the connection ended. A backend
        that begins a good answer may still be reading: it gets the rest of the body, as
        long as what it says meanwhile can be kept.
        """
        try:
            data = self._sock.recv(CHUNK_BYTES)
        except _WOULD_BLOCK:
            return False
        except OSError:
            return True
        if data:
            self.answered = True
            self._parser.feed(data)
        parser = self._parser
        return not data or (
            parser.head is not None
            and (
                parser.complete or parser.head.status >= 400 or parser.body_bytes > EARLY_BYTES
            )
        )

    def read_head(self, on_interim: Callable[[Head], None]) -> Head:
        """The final head; 1xx heads before it go to `on_interim`."""
        parser = self._parser
        while True:
            while parser.interim:
                on_interim(parser.interim.pop(0))
            if parser.head is not None:
                return parser.head
            if not self._tls:  # nothing is there yet; of TLS there may be, decrypted
                self._watch.wait(self._sock, select.POLLIN)
            self._receive()

    def read_body(self) -> bytes:
        """The body's next bytes as they come; b"" at its end.

        Raises UpstreamError where it is cut short, OutOfTime and ClientGone.
        """
        while True:
            if data := self._parser.take():
                return data
            if self._parser.complete:
                return b""
            self._receive()

    def take_body(self) -> bytes:
        """What has come of the body already, without waiting."""
        return self._parser.take()

    @property
    def complete(self) -> bool:
        """Whether the whole answer has come."""
        return self._parser.complete

    @property
    def reusable(self) -> bool:
        """Whether it may carry another request; asked when the answer is complete."""
        return self._parser.complete and self._parser.reusable

    def idle_s(self, most_s: float) -> float:
        """How long it may wait for its next request, at most `most_s`: as the backend says."""
        head = self._parser.head
        return keepalive.idle_s(head.headers, most_s) if head else 0.0

    def _receive(self) -> None:
        self._watch.check()  # bytes that flow without a wait are bounded too
        while True:
            try:
                data = self._sock.recv(CHUNK_BYTES)
                break
            except (BlockingIOError, ssl.SSLWantReadError):
                self._watch.wait(self._sock, select.POLLIN)
            except ssl.SSLWantWriteError:
                self._watch.wait(self._sock, select.POLLOUT)
            except OSError as error:
                raise UpstreamError(
                    FailureKind.ERROR, f"the backend's connection broke: {net.words(error)}"
                ) from error
        if data:
            self.answered = True
            self._parser.feed(data)
        else:
            self._parser.end()

    def close(self) -> None:
        self._sock.close()


def connect(
    backend: CompiledBackend, pool: CompiledPool, *, timeout_s: float, watch: Watch
) -> Connection:
    """A new connection to a backend; raises UpstreamError of kind CONNECT.

    A name that does not resolve is a connect failure of this backend alone. Resolution,
    all addresses and the handshake share `timeout_s`.
    """
    until = time.monotonic() + watch.remaining_s(timeout_s)
    spec = backend.spec
    try:
        sock = net.connect(spec.host, spec.port, until=until)
    except OSError as error:
        raise _cannot_connect(error) from error
    if not backend.tls:
        return Connection(sock)
    name = pool.spec.tls.server_name or spec.hostname
    try:
        context = net.tls_context(pool.spec.tls)
        return Connection(context.wrap_socket(sock, server_hostname=name))
    except OSError as error:
        sock.close()
        raise _cannot_connect(error) from error


def _cannot_connect(error: OSError) -> UpstreamError:
    return UpstreamError(
        FailureKind.CONNECT, f"cannot connect to the backend: {net.words(error)}"
    )
