"""What a backend had said when its connection broke, and what it is about to say."""

import socket
import ssl

import pytest

from pools.gateway.idle import IdleConnections
from pools.gateway.upstream import Upstream
from pools.wire.errors import UpstreamError


class Transport:
    """Of a socket that the loop has not read yet."""

    def __init__(self, sock, tls):
        self.extra = {"socket": sock, "sslcontext": tls}

    def get_extra_info(self, name):
        return self.extra[name]


class Sender:
    """Keeps how its request went."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.answer = b""
        self.failed: UpstreamError | None = None

    def answer_came(self):
        self.answer += self.upstream.parser.take()
        if self.upstream.parser.complete:
            self.upstream.release()

    def upstream_failed(self, error):
        self.failed = error


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def asking(sock, tls=None):
    upstream = Upstream("a", IdleConnections())
    upstream.connection_made(Transport(sock, tls))
    sender = Sender(upstream)
    upstream.begin(sender, b"POST", None, False)
    return upstream, sender


HEAD = b"HTTP/1.1 413 Too Large\r\nContent-Length: 100000\r\n\r\n"
BODY = bytes(100_000)


def test_answer_that_had_arrived_is_read_though_writing_met_a_reset(ends):
    ours, theirs = ends
    theirs.sendall(HEAD + BODY)
    upstream, sender = asking(ours)
    upstream.connection_lost(ConnectionResetError())
    assert sender.answer == BODY
    assert sender.failed is None
    assert not upstream.parser.reusable


@pytest.mark.parametrize("said", [b"", b"HTTP", HEAD, HEAD + BODY[1:], b"nonsense\r\n\r\n"])
@pytest.mark.parametrize("open_yet", [False, True])
def test_answer_that_had_not_arrived_is_a_failure(ends, said, open_yet):
    ours, theirs = ends
    theirs.sendall(said)
    if not open_yet:
        theirs.close()
    upstream, sender = asking(ours)
    upstream.connection_lost(ConnectionResetError())
    assert sender.failed is not None


@pytest.mark.parametrize("tls", [None, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)])
def test_what_arrived_is_to_be_heard_before_more_is_written(ends, tls):
    ours, theirs = ends
    upstream, _ = asking(ours, tls)
    assert not upstream.says_something()
    theirs.sendall(b"H")
    assert upstream.says_something()
