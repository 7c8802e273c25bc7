"""F2 to F4: what is tried again, and where."""

import itertools
import select
import threading

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S
from tests.conformance.scripts import dies, reached, silent

BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"


@pytest.mark.rule("F2")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_connect_failure_is_retried_for_every_method(site, get, method):
    body = b"hello" if method == "POST" else b""
    for _ in range(4):
        assert get(host="half-dead.test", method=method, body=body).status == 200
        assert site.right.got().body == body


@pytest.mark.rule("F2")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_idempotent_request_is_sent_again(site, get, method):
    site.left.script = dies
    for _ in range(2):
        assert get(host="pair.test", method=method).status == 200
    assert site.left.connections >= 1


@pytest.mark.rule("F2")
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_other_request_is_not_sent_again(site, get, method):
    site.left.script = site.right.script = dies
    assert get(host="pair.test", method=method).status == 502
    assert reached(site) == 1


@pytest.mark.rule("F2")
def test_pool_may_allow_other_methods(site, get):
    site.left.script = dies
    for _ in range(2):
        assert get(host="all-methods.test", method="POST").status == 200


@pytest.mark.rule("F2")
def test_consumed_body_is_not_sent_again(site, get):
    """It is larger than what any plane keeps."""
    site.left.script = site.right.script = dies
    assert get(host="pair.test", method="PUT", body=bytes(200_000)).status == 502
    assert reached(site) == 1


@pytest.mark.rule("F2")
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_small_body_is_sent_again(site, connect, framing):
    """Whole, to another backend."""
    site.left.script = dies
    client = connect()
    for _ in range(2):
        if framing == "length":
            client.ask(host="pair.test", method="PUT", body=b"hello")
        else:
            client.ask("/", "Transfer-Encoding: chunked", host="pair.test", method="PUT")
            client.send(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        assert client.response().status == 200
        assert site.right.got().body == b"hello"
    assert site.left.connections >= 1


@pytest.mark.rule("F2")
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_small_body_of_other_methods_is_not_sent_again(site, get, method):
    site.left.script = site.right.script = dies
    assert get(host="pair.test", method=method, body=b"hello").status == 502
    assert reached(site) == 1


@pytest.mark.rule("F2")
def test_body_that_is_still_coming_is_sent_again_once_it_is_here(site, connect):
    """The first backend dies within it."""
    began = threading.Event()
    whole = []

    def script(plane: Conversation) -> None:
        plane.head()
        body = plane.exactly(5)
        began.set()
        if plane.sock.getsockname()[1] == site.right.port:
            whole.append(body + plane.exactly(5))
            plane.send(OK)

    site.left.script = site.right.script = script
    for _ in range(2):
        client = connect()
        began.clear()
        client.ask("/", "Content-Length: 10", host="pair.test", method="PUT")
        client.send(b"first")
        assert began.wait(PATIENCE_S)
        client.send(b"after")
        assert client.response().status == 200
    assert whole == [b"firstafter"] * 2
    assert site.left.connections >= 1


@pytest.mark.rule("F2")
def test_nothing_is_sent_again_once_the_answer_began(site, get):
    site.left.script = site.right.script = site.left.closes_after(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
    )
    assert get(host="pair.test").cut
    assert reached(site) == 1


@pytest.mark.rule("F2")
def test_status_is_retried_where_the_pool_says_so(site, get):
    site.left.script = site.left.answers(BUSY)
    for _ in range(2):
        assert get(host="again.test").status == 200
    for _ in range(2):
        assert get(host="pair.test").status in (200, 503)
    site.right.script = site.right.answers(BUSY)
    site.right.reset()
    site.right.script = site.right.answers(BUSY)
    assert get(host="again.test").body == b"busy"  # the last answer is the answer


@pytest.mark.rule("F3")
def test_dead_connection_gets_a_free_try(site, connect):
    """A pool of one backend, which closed each connection after its answer was read."""
    turns = []

    def script(plane: Conversation) -> None:
        while plane.request() is not None:
            turns.append(plane.number)
            if len(turns) == 2:
                return  # takes the second request on the first connection, and closes
            plane.send(OK)

    site.one.script = script
    client = connect()
    for _ in range(2):
        client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        assert client.response().body == b"ok"
    assert turns == [1, 1, 2]


@pytest.mark.rule("F3")
def test_dead_connection_gives_no_free_try_to_post(site, connect):
    turns = []

    def script(plane: Conversation) -> None:
        while plane.request() is not None:
            turns.append(plane.number)
            if len(turns) == 2:
                return
            plane.send(OK)

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.response().status == 200
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 1\r\n\r\nx")
    assert client.response().status == 502
    assert turns == [1, 1]


@pytest.mark.rule("F3")
def test_connection_that_closed_while_idle_is_not_used(site, connect):
    closed = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(OK)
        plane.sock.close()
        closed.set()

    site.one.script = script
    client = connect()
    for _ in range(3):
        closed.clear()
        client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 1\r\n\r\nx")
        assert client.response().status == 200
        assert closed.wait(PATIENCE_S)


@pytest.mark.rule("F3")
@pytest.mark.parametrize("name", ["plain", "secure"])
def test_connection_is_kept_and_used_again(site, connect, name):
    client = connect()
    for _ in range(3):
        client.send(f"GET / HTTP/1.1\r\nHost: {name}.test\r\n\r\n".encode())
        assert client.response().status == 200
    assert site.one.connections + site.secure.connections == 1


@pytest.mark.rule("F3")
def test_connection_that_says_close_is_not_used_again(site, connect):
    site.one.script = site.one.answers(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    client = connect()
    for _ in range(2):
        client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        assert client.response().status == 200
    assert site.one.connections == 2


@pytest.mark.rule("F4")
def test_tries_go_to_different_backends(site, get):
    site.left.script = site.right.script = dies
    assert get(host="pair.test").status == 502
    assert (site.left.connections, site.right.connections) == (1, 1)


@pytest.mark.rule("F4")
def test_time_out_is_retried_elsewhere(site, get):
    site.left.script = silent
    for _ in range(2):
        assert get(host="slow-pair.test").status == 200


@pytest.mark.rule("F3")
def test_idle_connection_is_closed_before_the_backend_would(site, get):
    closed = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(OK)
        if plane.closed():
            closed.set()

    site.one.script = script
    assert get(host="brief-idle.test").status == 200
    assert closed.wait(PATIENCE_S)


@pytest.mark.rule("F3")
def test_pool_may_keep_no_idle_connections(site, connect):
    client = connect()
    for _ in range(3):
        client.ask(host="none-idle.test")
        assert client.response().status == 200
    assert site.one.connections == 3


@pytest.mark.rule("F3")
def test_no_more_idle_connections_are_kept_than_the_pool_says(site, connect):
    """Two at once; then one is closed, and the other used again."""
    both = threading.Barrier(2, timeout=PATIENCE_S)
    closed = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        both.wait()
        plane.send(OK)
        if plane.head() is None:
            closed.set()
        else:
            plane.send(OK)

    site.one.script = script
    clients = [connect(), connect()]
    for client in clients:
        client.ask(host="one-idle.test")
    for client in clients:
        assert client.response().status == 200
    assert closed.wait(PATIENCE_S)
    clients[0].ask(host="one-idle.test")
    assert clients[0].response().status == 200
    assert site.one.connections == 2


@pytest.mark.rule("F3")
def test_free_try_is_not_for_a_body_that_is_gone(site, connect):
    turns = []

    def script(plane: Conversation) -> None:
        while plane.request() is not None:
            turns.append(plane.number)
            if len(turns) == 2:
                return
            plane.send(OK)

    site.one.script = script
    client = connect()
    client.ask()
    assert client.response().status == 200
    client.ask(method="PUT", body=bytes(200_000))
    assert client.response().status == 502
    assert turns == [1, 1]


@pytest.mark.rule("F4")
def test_retries_have_a_budget(site, connect):
    """Twelve requests fail at once; a fifth of them, but three at least, are tried again.
    Those wait, so that no other gets their place."""
    count = 12
    first = threading.Barrier(count, timeout=PATIENCE_S)
    go = threading.Event()
    tries = itertools.count()

    def script(plane: Conversation) -> None:
        plane.request()
        if next(tries) < count:
            first.wait()
            return
        assert go.wait(PATIENCE_S)
        plane.send(OK)

    site.left.script = site.right.script = script
    clients = [connect() for _ in range(count)]
    for client in clients:
        client.ask(host="pair.test")
    waiting = {client.sock: client for client in clients}
    while len(waiting) > 3:
        ready, _, _ = select.select(list(waiting), [], [], PATIENCE_S)
        assert ready
        for sock in ready:
            assert waiting.pop(sock).response().status == 502
    go.set()
    assert [client.response().status for client in waiting.values()] == [200] * 3
    assert reached(site) == count + 3


@pytest.mark.rule("F4")
def test_all_tries_share_one_deadline(site, get):
    """The first takes it up; the next backend is not even asked."""
    site.left.script = site.right.script = silent
    assert get(host="bounded-pair.test").status == 504
    assert reached(site) == 1
