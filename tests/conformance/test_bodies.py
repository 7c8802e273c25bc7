"""Q8, R5, R6: bodies go on as they come, both ways."""

import threading
from contextlib import suppress

import pytest

from tests.conformance.backends import Conversation
from tests.conformance.client import PATIENCE_S


@pytest.mark.rule("Q8")
def test_length_stays_length(site, get):
    get("/", method="POST", body=b"hello")
    request = site.one.got()
    assert (request.one("Content-Length"), request.body) == (b"5", b"hello")
    assert request.one("Transfer-Encoding") is None


@pytest.mark.rule("Q8")
def test_chunked_is_chunked_again(site, connect):
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert client.response().status == 200
    request = site.one.got()
    assert request.one("Transfer-Encoding") == b"chunked"
    assert request.one("Content-Length") is None
    assert request.body == b"hello!"


@pytest.mark.rule("Q8")
def test_empty_body_keeps_its_length(site, connect):
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 0\r\n\r\n")
    assert client.response().status == 200
    assert site.one.got().one("Content-Length") == b"0"


@pytest.mark.rule("Q8")
@pytest.mark.parametrize("chunked", [False, True])
def test_body_goes_on_as_it_comes(site, connect, chunked):
    """The backend has the first bytes before the client sends the last."""

    def script(plane: Conversation) -> None:
        plane.head()
        first = plane.chunk() if chunked else plane.exactly(5)
        plane.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"6\r\nsecond\r\n0\r\n\r\n" if chunked else b"second")
        second = plane.chunk() if chunked else plane.exactly(6)
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + first + second)

    site.one.script = script
    client = connect()
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 11"
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\n" + framing + b"\r\n\r\n")
    client.send(b"5\r\nfirst\r\n" if chunked else b"first")
    assert client.response().body == b"firstsecond"


@pytest.mark.rule("Q8")
def test_large_bodies_pass_both_ways(site, connect):
    size = 20_000_000

    def script(plane: Conversation) -> None:
        request = plane.head()
        assert request is not None
        left = int(request.one("Content-Length") or 0)
        while left:
            left -= len(plane.exactly(min(left, 65_536)))
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    site.one.script = script
    client = connect()
    client.send(
        b"PUT / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    )
    response = client.response()
    assert (response.status, len(response.body), response.cut) == (200, size, False)


@pytest.mark.rule("R5")
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_first_event_arrives_at_once(site, connect, framing):
    """The backend sends no second event before the client has the first."""
    got = threading.Event()

    def event(text: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(text), text) if framing == "chunked" else text

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        plane.send(b"Transfer-Encoding: chunked\r\n\r\n" if framing == "chunked" else b"\r\n")
        plane.send(event(b"data: 1\n\n"))
        assert got.wait(PATIENCE_S)
        plane.send(event(b"data: 2\n\n") + (b"0\r\n\r\n" if framing == "chunked" else b""))

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.head().status == 200
    assert client.exactly(int(client.line(), 16)) == b"data: 1\n\n"
    got.set()
    assert client.line() == b""
    assert client.exactly(int(client.line(), 16)) == b"data: 2\n\n"


@pytest.mark.rule("R5")
def test_head_arrives_before_any_body(site, connect):
    got = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        assert got.wait(PATIENCE_S)
        plane.send(b"ok")

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.head().status == 200
    got.set()
    assert client.exactly(2) == b"ok"


@pytest.mark.rule("R6")
@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sent", [0, 10, 200_000])
def test_early_answer_is_relayed_while_the_client_pauses(site, connect, framing, sent):
    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        plane.closed()

    site.one.script = script
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\n" + framing + b"\r\n\r\n")
    if sent:
        chunked = framing.endswith(b"chunked")
        client.send(b"%x\r\n%b" % (sent * 2, bytes(sent)) if chunked else bytes(sent))
    response = client.response()
    assert (response.status, response.body) == (403, b"no")


@pytest.mark.rule("R6")
def test_backend_that_answers_while_it_reads_gets_the_whole_body(site, connect):
    """A good answer that has only begun is no reason to stop the upload."""
    size = 3_000_000

    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nread\r\n")
        plane.send(b"7\r\n%d\r\n0\r\n\r\n" % len(plane.exactly(size)))

    site.one.script = script
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: %d\r\n\r\n" % size
        + bytes(size)
    )
    assert client.response().body == b"read%d" % size


@pytest.mark.rule("R6")
def test_early_answer_is_relayed_while_the_backend_does_not_read(site, connect):
    """More is on its way than all buffers hold, so sending to the backend has stopped."""

    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        plane.closed()

    site.one.script = script
    client = connect()
    size = 50_000_000
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: %d\r\n\r\n" % size)

    def upload() -> None:
        with suppress(OSError):  # cut off, as it may be
            client.send(bytes(size))

    sending = threading.Thread(target=upload)
    sending.start()
    response = client.head()
    client.sock.close()
    sending.join()
    assert response.status == 413
