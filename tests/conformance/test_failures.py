"""F1 to F7: what happens when a backend or a client fails."""

import json
import threading

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S, Client

BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"


def dies(plane: Conversation) -> None:
    """Takes a request and closes without an answer."""
    plane.request()


def silent(plane: Conversation) -> None:
    plane.request()
    plane.closed()


def reached(site) -> int:
    """How many connections the pool of two took."""
    return site.left.connections + site.right.connections


@pytest.mark.rule("F1")
@pytest.mark.parametrize(
    ("host", "status"), [("nowhere.test", 404), ("refused.test", 502), ("empty.test", 503)]
)
def test_codes(get, site, host, status):
    response = get(host=host)
    assert response.status == status
    assert (response.one("Retry-After") is not None) is (status == 503)
    request_id = response.one("X-Request-ID")
    assert request_id
    assert request_id in response.body
    assert b"127.0.0.1" not in response.body
    assert str(site.refused).encode() not in response.body


@pytest.mark.rule("F1")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html;q=0.5, application/json", "application/json"),
    ],
)
def test_errors_are_what_the_client_accepts(get, site, accept, kind):
    response = get("/", f"Accept: {accept}", host="empty.test")
    assert response.one("Content-Type") == kind.encode()
    if kind == "application/json":
        told = json.loads(response.body)
        assert told["status"] == 503
        assert told["request_id"].encode() == response.one("X-Request-ID")


@pytest.mark.rule("F1")
def test_error_for_head_has_no_body(get, site):
    assert get(host="empty.test", method="HEAD").status == 503


@pytest.mark.rule("F1")
@pytest.mark.parametrize("end", ["close", "reset"])
def test_no_answer_is_502(site, get, end):
    def script(plane: Conversation) -> None:
        plane.head()
        if end == "reset":
            plane.reset()

    site.one.script = script
    assert get().status == 502


@pytest.mark.rule("F1")
def test_late_answer_is_504(site, get):
    site.one.script = silent
    assert get(host="slow.test").status == 504


@pytest.mark.rule("F1")
def test_exchange_too_long_is_504(site, get):
    site.one.script = silent
    assert get(host="bounded.test").status == 504


@pytest.mark.rule("F1")
def test_silence_within_the_answer_cuts_it(site, get):
    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        plane.closed()

    site.one.script = script
    response = get(host="slow.test")
    assert (response.status, response.body, response.cut) == (200, b"hello", True)


@pytest.mark.rule("F1")
def test_name_that_does_not_resolve_stops_nothing_else(site, get):
    assert {get(host="unresolved.test").status for _ in range(4)} == {200}


@pytest.mark.rule("F1")
def test_tls_backend_is_verified(site, get):
    assert get(host="secure.test").body == b"ok"
    assert get(host="unverified.test").status == 502


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
    site.left.script = site.right.script = dies
    assert get(host="pair.test", method="PUT", body=b"hello").status == 502
    assert reached(site) == 1


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


@pytest.mark.rule("F5")
@pytest.mark.parametrize("when", ["before the answer", "during the answer"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_leaves_cancels_at_once(site, connect, when, how):
    """Well before any time-out: the route's is a minute."""
    began, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        if when == "during the answer":
            plane.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        began.set()
        if plane.closed():
            left.set()

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert began.wait(PATIENCE_S)
    if when == "during the answer":
        assert client.head().status == 200
        client.line()
    client.reset() if how == "reset" else client.sock.close()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("F5")
def test_client_that_leaves_during_its_upload_cancels(site, connect):
    began, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.head()
        plane.exactly(5)
        began.set()
        if plane.closed():
            left.set()

    site.one.script = script
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 10\r\n\r\nhello")
    assert began.wait(PATIENCE_S)
    client.sock.close()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("F5")
def test_client_that_leaves_frees_its_place(site, connect, get):
    """The pool takes one request at a time: a lease that stayed would answer 503."""
    began, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        began.set()
        plane.closed()
        left.set()

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: full.test\r\n\r\n")
    assert began.wait(PATIENCE_S)
    assert get(host="full.test").status == 503
    client.sock.close()
    assert left.wait(PATIENCE_S)
    site.one.script = site.one.answers(OK)
    assert get(host="full.test").status == 200


@pytest.mark.rule("F6")
def test_backend_that_keeps_failing_is_left_alone(site, get):
    """After two failures in a row; clients notice none of it."""
    site.left.script = dies
    assert {get(host="ejecting.test").status for _ in range(12)} == {200}
    assert site.left.connections == 2


@pytest.mark.rule("F6")
def test_client_that_stalls_its_upload_ejects_nobody(site, connect, get):
    """Whichever limit passes first it is the client's fault; here the exchange's does."""
    for _ in range(4):
        client = connect()
        client.send(b"POST / HTTP/1.1\r\nHost: impatient.test\r\nContent-Length: 9\r\n\r\nabc")
        assert client.response().status == 408
    assert {get(host="impatient.test").status for _ in range(4)} == {200}
    assert not site.left.seen.empty()
    assert not site.right.seen.empty()


@pytest.mark.rule("F7")
def test_draining_backend_gets_no_new_requests(site, get):
    assert {get(host="draining.test").status for _ in range(4)} == {200}
    assert site.left.connections == 0


@pytest.mark.rule("F7")
def test_sticky_client_stays(site, get):
    cookie = get(host="sticky.test").one("Set-Cookie")
    assert cookie is not None
    name = cookie.partition(b";")[0].decode()
    first = site.left if site.right.seen.empty() else site.right
    first.got()
    for _ in range(4):
        response = get("/", f"Cookie: mine=1; {name}", host="sticky.test")
        assert response.one("Set-Cookie") is None
        assert first.got().one("Cookie") == b"mine=1"


@pytest.mark.rule("F8")
def test_traffic_goes_on_without_the_database(plane, site, tmp_path):
    """With what was published last: the hardest moment is a start."""
    own = type(plane)()
    own.start(site.document(), tmp_path)
    try:
        client = Client(own.restart_without_database(), "127.0.0.1")
        client.send(b"GET / HTTP/1.1\r\nHost: pair.test\r\n\r\n")
        assert client.response().status == 200
        client.sock.close()
    finally:
        own.stop()
