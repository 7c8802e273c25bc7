"""Connections of clients: kept, pipelined, and ended in order (RFC 9112 §9)."""

import threading

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S, ask
from tests.conformance.scripts import answer, echoes, fill


@pytest.mark.rule("keep-alive")
def test_pipelined_requests_are_each_served(site, connect):
    client = connect()
    client.send(b"".join(ask(f"/{n}", method="POST", body=b"hello") for n in (1, 2)))
    assert client.response().status == 200
    assert client.response().status == 200
    assert [site.one.got().target for _ in range(2)] == [b"/1", b"/2"]


@pytest.mark.rule("keep-alive")
def test_pipelined_requests_are_answered_in_order(site, connect):
    site.one.script = echoes
    client = connect()
    client.send(b"".join(ask(f"/{n}") for n in range(100)))
    assert [client.response().body for _ in range(100)] == [b"/%d" % n for n in range(100)]


@pytest.mark.rule("keep-alive")
def test_slow_answer_is_not_overtaken(site, connect):
    """The second has another backend, which answers at once."""
    site.left.script = site.right.script = echoes

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsl")
        plane.send(b"ow!")

    site.one.script = script
    client = connect()
    client.send(ask("/1") + ask("/2", host="pair.test") + ask("/3", host="nowhere.test"))
    assert client.response().body == b"slow!"
    assert client.response().body == b"/2"
    assert client.response().status == 404


@pytest.mark.rule("keep-alive")
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(ask(method="POST", body=b"x" * 100_000), id="body"),
        pytest.param(
            ask("/", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(ask(method="HEAD"), id="head"),
        pytest.param(ask(host="nowhere.test"), id="no-route"),
        pytest.param(ask(host="empty.test"), id="no-backend"),
        pytest.param(ask(host="refused.test"), id="refused"),
        pytest.param(ask(method="HEAD", host="nowhere.test"), id="head-of-an-error"),
    ],
)
def test_request_behind_any_other_is_served(site, connect, first):
    client = connect()
    client.send(first + ask("/next"))
    method = first.partition(b" ")[0].decode()
    client.response(method)
    response = client.response()
    assert (response.status, response.body) == (200, b"ok")
    assert [site.one.got().target for _ in range(site.one.seen.qsize())][-1] == b"/next"


@pytest.mark.rule("keep-alive")
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK"])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_answer_without_a_body_is_followed_by_the_next(site, connect, status, method):
    if method == "GET" and status == b"200 OK":
        status = b"205 Reset Content"
    site.one.script = site.one.answers(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
    client = connect()
    client.send(ask(method=method) * 3)
    assert {client.response(method).status for _ in range(3)} == {int(status[:3])}


@pytest.mark.rule("keep-alive", "R2")
def test_head_of_a_chunked_answer_has_no_body(site, connect):
    site.one.script = site.one.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    client = connect()
    client.send(ask(method="HEAD") * 3)
    assert [client.response("HEAD").status for _ in range(3)] == [200] * 3


@pytest.mark.rule("keep-alive", "Q7")
def test_malformed_request_ends_the_connection_behind_its_answer(site, connect):
    """What came before it is answered in order; what follows is nobody's."""
    site.one.script = echoes
    client = connect()
    client.send(ask("/1") + b"GET /2 HTTP/1.1\r\nHost : x\r\n\r\n" + ask("/3"))
    assert client.response().body == b"/1"
    assert client.response().status == 400
    assert client.rest() == b""


@pytest.mark.rule("keep-alive")
@pytest.mark.parametrize(
    "field", ["Connection: close", "connection: Close", "Connection: x, CLOSE"]
)
@pytest.mark.parametrize("host", ["plain.test", "nowhere.test"])
def test_close_is_heeded_and_said(site, connect, field, host):
    client = connect()
    client.send(ask("/1", field, host=host) + ask("/2"))
    response = client.response()
    assert response.status == (200 if host == "plain.test" else 404)
    assert response.one("Connection") == b"close"
    assert client.rest() == b""
    assert b"/2" not in {site.one.got().target for _ in range(site.one.seen.qsize())}


@pytest.mark.rule("keep-alive")
def test_backend_that_closes_does_not_close_on_the_client(site, connect):
    site.one.script = site.one.closes_after(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    )
    client = connect()
    for _ in range(3):
        client.ask()
        response = client.response()
        assert (response.body, (response.one("Connection") or b"").lower()) in [
            (b"ok", b""),
            (b"ok", b"keep-alive"),
        ]


@pytest.mark.rule("keep-alive")
def test_http_1_0_is_closed_behind_its_answer(site, connect):
    client = connect()
    client.ask(version="1.0")
    response = client.response()
    assert (response.status, response.body) == (200, b"ok")
    assert client.rest() == b""


@pytest.mark.rule("keep-alive")
def test_http_1_0_is_kept_where_it_asks_and_is_told(site, connect):
    client = connect()
    for _ in range(3):
        client.ask("/", "Connection: keep-alive", version="1.0")
        response = client.response()
        assert (response.body, response.cut) == (b"ok", False)
        assert (response.one("Connection") or b"").lower() == b"keep-alive"


@pytest.mark.rule("keep-alive")
@pytest.mark.parametrize("field", [[], ["Connection: keep-alive"]])
def test_body_of_unknown_length_ends_with_the_connection_for_http_1_0(site, connect, field):
    site.one.script = site.one.answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
    )
    client = connect()
    client.ask("/", *field, version="1.0")
    response = client.response()
    assert response.one("Transfer-Encoding") is None
    assert (response.one("Connection") or b"close").lower() == b"close"
    assert (response.body, response.cut) == (b"hello!", False)


@pytest.mark.rule("keep-alive")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhello", id="1.0-until-close"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nhello", id="1.1-until-close"),
    ],
)
def test_body_until_close_is_chunked_for_http_1_1(site, connect, said):
    site.one.script = site.one.closes_after(said)
    client = connect()
    for _ in range(2):
        client.ask()
        response = client.response()
        assert response.one("Transfer-Encoding") == b"chunked"
        assert (response.body, response.cut) == (b"hello", False)


@pytest.mark.rule("keep-alive")
@pytest.mark.parametrize(
    ("fields", "kept"), [(b"", False), (b"Connection: keep-alive\r\n", True)]
)
def test_http_1_0_backend_is_served_from(site, connect, fields, kept):
    """Its connection is kept where it says so, and never otherwise."""
    said = b"HTTP/1.0 200 OK\r\n" + fields + b"Content-Length: 2\r\n\r\nok"
    site.one.script = site.one.answers(said) if kept else site.one.closes_after(said)
    client = connect()
    for _ in range(3):
        client.ask(method="POST", body=b"x")
        response = client.response()
        assert (response.status, response.body) == (200, b"ok")
    if not kept:
        assert site.one.connections == 3


@pytest.mark.rule("keep-alive")
def test_backend_is_always_asked_by_http_1_1(site, connect):
    client = connect()
    client.ask(version="1.0")
    assert client.response().status == 200
    assert site.one.got().line.endswith(b" HTTP/1.1")


@pytest.mark.rule("keep-alive")
def test_client_gets_http_1_1(site, connect):
    """The version is the sender's own (RFC 9110 §6.2), whatever the other end's is."""
    site.one.script = site.one.closes_after(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    client = connect()
    client.ask()
    assert client.exactly(9) == b"HTTP/1.1 "


@pytest.mark.rule("keep-alive")
def test_clients_share_connections_to_a_backend(site, connect):
    for _ in range(3):
        client = connect()
        client.ask()
        assert client.response().status == 200
    assert site.one.connections == 1


@pytest.mark.rule("keep-alive")
def test_answer_of_one_client_never_reaches_another(site, connect):
    """The first leaves while its answer is half here; its connection is used no more."""

    def script(plane: Conversation) -> None:
        while (request := plane.request()) is not None:
            if request.target == b"/left":
                plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nleft-")
                plane.closed()
                return
            plane.send(answer(body=request.target))

    site.one.script = script
    for n in range(5):
        first = connect()
        first.ask("/left")
        first.head()
        first.reset()
        second = connect()
        second.ask(f"/{n}")
        assert second.response().body == b"/%d" % n


@pytest.mark.rule("keep-alive")
def test_request_may_follow_an_answer_that_closed_nothing(site, connect):
    site.one.script = site.one.answers(OK)
    client = connect()
    for n in range(20):
        client.ask(f"/{n}", method="POST" if n % 2 else "GET", body=b"x" * n)
        assert client.response().status == 200
    assert [site.one.got().target for _ in range(20)] == [b"/%d" % n for n in range(20)]


@pytest.mark.rule("keep-alive", "Q8")
def test_client_that_asks_on_and_on_is_held_back(site, connect):
    """While its first request waits, the others wait with the client."""
    held = threading.Event()

    def script(plane: Conversation) -> None:
        while plane.request() is not None:
            assert held.wait(PATIENCE_S * 3)
            plane.send(OK)

    site.one.script = script
    client = connect()
    request = ask("/", *[f"X-{n}: " + "a" * 8000 for n in range(3)])
    sent = fill(client.sock, piece=request * 3)
    assert sent < 50_000_000
    held.set()
    for _ in range(sent // len(request)):
        assert client.response().status == 200
    assert site.one.connections == 1
