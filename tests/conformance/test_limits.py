"""Q11: what is too large, too slow or too much is answered by name."""

import select
import socket
import threading
import time
from contextlib import suppress

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S, Client, ask
from tests.conformance.conftest import CONNECTIONS, CONNECTIONS_PER_CLIENT, LIMIT_S
from tests.conformance.site import SMALL_BODY, TRUSTED
from tests.services import eventually

LARGE_FIELDS = [f"X-{n}: {'a' * 8000}" for n in range(40)]


@pytest.mark.rule("Q11")
def test_large_header_is_431(site, connect):
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n")
    assert client.response().status == 431
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_long_target_is_414(site, connect):
    client = connect()
    client.send(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.response().status == 414
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_large_body_is_413_before_it_comes(site, connect):
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: small.test\r\nContent-Length: %d\r\n\r\n" % (SMALL_BODY + 1)
    )
    assert client.response().status == 413
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_large_chunked_body_is_413_while_it_comes(site, connect):
    site.one.script = Conversation.drain
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: small.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"%x\r\n%b\r\n" % (SMALL_BODY + 1, bytes(SMALL_BODY + 1)))
    assert client.response().status == 413


@pytest.mark.rule("Q11")
def test_body_of_the_largest_size_passes(site, get):
    assert get("/", host="small.test", method="POST", body=bytes(SMALL_BODY)).status == 200


@pytest.mark.rule("Q11")
def test_many_small_fields_are_431(site, connect):
    client = connect()
    client.ask("/", *[f"X-{n}: a" for n in range(200)])
    assert client.response().status == 431
    assert site.one.connections == 0


@pytest.mark.rule("Q11")
def test_many_fields_pass(site, get):
    assert get("/", *[f"X-{n}: a" for n in range(90)]).status == 200
    assert site.one.got().one("X-89") == b"a"


@pytest.mark.rule("Q11")
def test_head_of_many_large_fields_is_431(site, connect):
    client = connect()
    with suppress(OSError):
        client.ask("/", *LARGE_FIELDS)
    assert client.response().status == 431
    assert site.one.connections == 0


@pytest.mark.rule("Q11")
def test_head_that_does_not_end_is_431_by_its_size(site, connect, limited):
    client = connect(address=limited)
    with suppress(OSError):
        client.send(ask("/", *LARGE_FIELDS)[:-2])
    assert client.response().status == 431
    assert site.one.connections == 0


@pytest.mark.rule("Q11")
def test_target_of_the_longest_size_passes(site, get):
    target = "/" + "a" * 8000
    assert get(target).status == 200
    assert site.one.got().target == target.encode()


@pytest.mark.rule("Q11")
@pytest.mark.parametrize("status", [414, 431])
def test_connection_ends_behind_what_is_too_large(site, connect, status):
    """And what follows on it is not served."""
    client = connect()
    first = {
        414: ask("/" + "a" * 20_000),
        431: ask("/", "X-A: " + "a" * 60_000),
    }[status]
    with suppress(OSError):
        client.send(first + ask("/smuggled", host="pair.test"))
    assert client.response().status == status
    with suppress(ConnectionError):
        client.rest()
    assert site.left.connections + site.right.connections == 0


@pytest.mark.rule("Q11")
@pytest.mark.parametrize("size", ["as-a-whole", "in-pieces"])
def test_chunked_body_is_measured_without_its_framing(site, connect, size):
    step = SMALL_BODY if size == "as-a-whole" else 1
    client = connect()
    client.ask("/", "Transfer-Encoding: chunked", host="small.test", method="POST")
    client.send(b"%x\r\n%b\r\n" % (step, bytes(step)) * (SMALL_BODY // step))
    client.send(b"0\r\n\r\n")
    assert client.response().status == 200
    assert len(site.one.got().body) == SMALL_BODY


@pytest.mark.rule("Q11")
@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"5;" + b"a" * 1_000_000, id="extension"),
        pytest.param(b"0" * 1_000_000, id="size"),
        pytest.param(b"0\r\nX: " + b"a" * 1_000_000, id="trailer"),
        pytest.param(b"0\r\n" + b"X: a\r\n" * 200_000, id="trailers"),
    ],
)
def test_framing_of_a_body_is_bounded(site, connect, endless):
    site.one.script = Conversation.drain
    client = connect()
    client.ask("/", "Transfer-Encoding: chunked", method="POST")
    with suppress(OSError):
        client.send(endless)
    assert client.response().status in (400, 413, 431)
    with suppress(ConnectionError):
        assert client.rest() == b""


@pytest.mark.rule("Q11")
def test_slow_head_is_408(site, connect, limited):
    client = connect(address=limited)
    client.send(b"GET / HTTP/1.1\r\nHost: pl")
    response = client.response()
    assert (response.status, response.one("Connection")) == (408, b"close")
    assert client.rest() == b""


@pytest.mark.rule("Q11")
def test_head_that_comes_byte_by_byte_is_408(site, connect, limited):
    """Its time is of the whole, not of each byte."""
    client = connect(address=limited)
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\nX-A: ")
    with suppress(OSError):
        while not select.select([client.sock], [], [], 0.05)[0]:
            client.send(b"a")
    assert client.response().status == 408


@pytest.mark.rule("Q11")
def test_slow_head_of_a_later_request_is_408(site, connect, limited):
    client = connect(address=limited)
    client.ask()
    assert client.response().status == 200
    client.send(b"GET / HT")
    assert client.response().status == 408


@pytest.mark.rule("Q11")
@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sent", [b"", b"5\r\nhello\r\n"])
def test_body_that_stalls_is_408(site, connect, limited, framing, sent):
    left = threading.Event()

    def script(plane: Conversation) -> None:
        plane.drain()
        left.set()

    site.one.script = script
    client = connect(address=limited)
    client.ask("/", framing, method="POST")
    client.send(sent if framing.startswith("T") else sent[3:8])
    response = client.response()
    assert (response.status, response.one("Connection")) == (408, b"close")
    assert client.rest() == b""
    assert left.wait(PATIENCE_S) or not site.one.connections


@pytest.mark.rule("Q11")
@pytest.mark.parametrize("first", [False, True])
def test_idle_client_is_closed_on_without_a_word(site, connect, limited, first):
    """Whoever says nothing expects no answer."""
    client = connect(address=limited)
    if first:
        client.ask()
        assert client.response().status == 200
    assert client.rest() == b""


@pytest.mark.rule("Q11")
def test_client_that_takes_nothing_is_cut(site, connect, limited):
    left = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        with suppress(OSError):
            while True:
                plane.send(bytes(1_000_000))
        left.set()

    site.one.script = script
    client = connect(address=limited)
    client.ask()
    assert left.wait(PATIENCE_S)
    assert client.response().cut


@pytest.mark.rule("Q11")
def test_client_that_goes_on_reading_is_not_cut(site, connect, limited):
    """Longer than the time-outs of those who do nothing."""
    size = 60_000_000
    site.one.script = site.one.answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    )
    client = connect(address=limited)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    client.ask()
    assert client.head().status == 200
    began, left = time.monotonic(), size
    while time.monotonic() < began + 3 * LIMIT_S:
        left -= len(client.exactly(500_000))
        select.select([], [], [], 0.05)
    while left:
        left -= len(client.exactly(min(left, 1_000_000)))


@pytest.mark.rule("Q11")
def test_connections_of_one_client_are_limited(site, connect, limited):
    """One more gets 503, or nothing; when one of them ends there is a place again."""
    source = "127.0.0.9"
    clients = [connect(source, limited) for _ in range(CONNECTIONS_PER_CLIENT)]
    for client in clients:
        client.ask()
        assert client.response().status == 200

    def refused() -> bool:
        """Whether another connection is."""
        with Client(limited, source) as more:
            with suppress(OSError):
                more.ask()
            try:
                return more.response().status == 503
            except (EOFError, ConnectionError):
                return True

    assert refused()
    with Client(limited, "127.0.0.10") as other:
        other.ask()
        assert other.response().status == 200
    clients.pop().sock.close()
    eventually(lambda: not refused())


@pytest.mark.rule("Q11")
def test_trusted_proxy_may_have_any_number_of_connections(site, connect, limited):
    clients = [connect(TRUSTED, limited) for _ in range(CONNECTIONS_PER_CLIENT * 2)]
    for client in clients:
        client.ask()
        assert client.response().status == 200


@pytest.mark.rule("Q11")
def test_connections_are_limited(site, connect, crowded):
    """While all are busy one more gets 503; where one is idle, it makes room."""
    go = threading.Event()

    def script(plane: Conversation) -> None:
        while plane.request() is not None:
            assert go.wait(PATIENCE_S)
            plane.send(OK)

    site.one.script = script
    clients = [connect(address=crowded) for _ in range(CONNECTIONS)]
    for client in clients:
        client.ask()
    eventually(lambda: site.one.connections == CONNECTIONS)
    with suppress(EOFError, ConnectionError):
        assert connect(address=crowded).response().status == 503
    go.set()
    assert {client.response().status for client in clients} == {200}
    last = connect(address=crowded)
    last.ask()
    assert last.response().status == 200
