"""Q8, R5, R6: bodies go on as they come, both ways."""

import threading
from contextlib import suppress

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S, ask
from tests.conformance.scripts import fill


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
    relayed = threading.Event()

    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        assert relayed.wait(PATIENCE_S)

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
    relayed.set()
    client.sock.close()
    sending.join()
    assert response.status == 413


@pytest.mark.rule("R6")
def test_early_answer_is_relayed_though_its_backend_resets(site, connect):
    """It closes with the upload unread: what it said before is its answer."""

    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    site.one.script = script
    client = connect()
    client.ask("/", "Content-Length: 50000000", method="POST")
    with suppress(OSError):
        client.send(bytes(50_000_000))
    assert client.head().status == 413


@pytest.mark.rule("Q8")
def test_upload_is_held_back_while_the_backend_does_not_read(site, connect):
    """And arrives whole in the end; what waits here is bounded."""
    held = threading.Event()
    size = 100_000_000

    def script(plane: Conversation) -> None:
        plane.head()
        assert held.wait(PATIENCE_S * 3)
        left = sent
        while left:
            left -= len(plane.exactly(min(left, 65_536)))
        plane.send(OK)
        plane.closed()

    site.one.script = script
    client = connect()
    client.ask("/", f"Content-Length: {size}", method="POST")
    sent = fill(client.sock, size)
    assert sent < size // 2
    held.set()
    assert client.response().status == 200


@pytest.mark.rule("Q8")
@pytest.mark.parametrize("framing", ["length", "close"])
def test_download_is_held_back_while_the_client_does_not_read(site, connect, framing):
    held = threading.Event()
    size = 100_000_000
    sent = []

    def script(plane: Conversation) -> None:
        plane.request()
        fields = b"Content-Length: %d\r\n" % size if framing == "length" else b""
        plane.send(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n")
        sent.append(fill(plane.sock, size))
        held.set()
        if framing == "length":
            plane.send(bytes(size - sent[0]))

    site.one.script = script
    client = connect()
    client.ask()
    assert held.wait(PATIENCE_S * 3)
    assert sent[0] < size // 2
    response = client.head()
    assert response.status == 200
    left = size if framing == "length" else sent[0]
    while left:
        count = min(left, 1_000_000) if framing == "length" else int(client.line(), 16)
        left -= len(client.exactly(count))
        assert framing == "length" or client.exactly(2) == b"\r\n"


@pytest.mark.rule("Q8")
@pytest.mark.parametrize("pieces", [1, 1000])
def test_chunks_of_any_size_carry_the_same_body(site, connect, pieces):
    body = bytes(range(256)) * 100
    step = len(body) // pieces
    chunks = [body[at : at + step] for at in range(0, len(body), step)]
    client = connect()
    client.ask("/", "Transfer-Encoding: chunked", method="POST")
    client.send(b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks))
    client.send(b"0\r\n\r\n")
    assert client.response().status == 200
    assert site.one.got().body == body


@pytest.mark.rule("Q8")
def test_get_may_have_a_body(site, get):
    assert get(method="GET", body=b"hello").status == 200
    assert site.one.got().body == b"hello"


@pytest.mark.rule("Q8")
def test_request_without_a_body_gets_no_framing(site, get):
    """A length of 0 in a GET has made servers fail."""
    get()
    request = site.one.got()
    assert request.one("Content-Length") is request.one("Transfer-Encoding") is None


@pytest.mark.rule("R6")
def test_connection_is_safe_behind_an_early_answer(site, connect):
    """What is left of the upload is no request: it is read and dropped, or never read."""

    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        plane.closed()

    site.one.script = script
    rest = ask("/smuggled", host="pair.test")
    client = connect()
    client.ask("/", f"Content-Length: {5 + len(rest)}", method="POST")
    client.send(b"hello")
    assert client.response().status == 403
    with suppress(OSError):
        client.send(rest)
        client.ask("/next", host="pair.test")
        client.finish()
        client.rest()
    seen = [*site.left.seen.queue, *site.right.seen.queue]
    assert b"/smuggled" not in {request.target for request in seen}
