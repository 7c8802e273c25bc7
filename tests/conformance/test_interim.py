"""Q10, R4: 100-continue, early hints and other 1xx."""

import threading

import pytest

from tests.conformance.backends import CONTINUE, OK, Conversation
from tests.conformance.client import PATIENCE_S
from tests.conformance.site import SMALL_BODY

EXPECTS = ("Expect: 100-continue", "Content-Length: 5")


@pytest.mark.rule("Q10")
def test_final_answer_ends_an_expectation(site, connect):
    """The backend's own decision reaches the client, and no 100 before it."""

    def refuses(plane: Conversation) -> None:
        request = plane.head()
        assert request is not None
        plane.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    site.one.script = refuses
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5\r\n\r\n"
    )
    assert client.head().status == 417


@pytest.mark.rule("Q10")
def test_client_that_expects_continue_gets_it(site, connect):
    """Exactly one, whoever says it."""
    client = connect()
    client.ask("/", *EXPECTS, method="POST")
    assert client.head().status == 100
    client.send(b"hello")
    assert client.head().status == 200
    assert site.one.got().body == b"hello"


@pytest.mark.rule("R4")
def test_continue_of_the_backend_passes(site, connect):
    """One 100, the backend's, and not before it."""
    asked = threading.Event()

    def script(plane: Conversation) -> None:
        request = plane.head()
        assert request is not None
        if request.one("Expect"):
            asked.set()
            plane.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        plane.exactly(5)
        plane.send(OK)

    site.one.script = script
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5\r\n\r\n"
    )
    assert client.head().status == 100
    client.send(b"hello")
    assert client.response().status == 200
    assert asked.is_set()


@pytest.mark.rule("R4")
def test_early_hints_pass(site, connect):
    site.one.script = site.one.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + OK
    )
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    hints = client.head()
    assert (hints.status, hints.one("Link")) == (103, b"</a>; rel=preload")
    assert client.response().body == b"ok"


@pytest.mark.rule("R4")
def test_hints_carry_nothing_past_the_rules_of_answers(site, connect):
    site.one.script = site.one.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
        b"Set-Cookie: proxysite_sessionid=evil\r\nContent-Length: 7\r\n\r\n" + OK
    )
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    hints = client.head()
    assert (hints.status, [name for name, _ in hints.headers]) == (103, [b"Link"])
    assert client.response().body == b"ok"


@pytest.mark.rule("R4")
def test_no_1xx_to_http_1_0(site, connect):
    site.one.script = site.one.answers(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    client = connect()
    client.send(b"GET http://plain.test/ HTTP/1.0\r\n\r\n")
    assert client.head().status == 200


@pytest.mark.rule("R4")
def test_other_interim_answers_do_no_harm(site, get):
    site.one.script = site.one.answers(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK
    )
    assert get().body == b"ok"


@pytest.mark.rule("Q10")
def test_expectation_reaches_the_backend(site, connect):
    expected = []

    def script(plane: Conversation) -> None:
        request = plane.head()
        assert request is not None
        expected.append(request.one("Expect"))
        plane.send(CONTINUE)
        plane.exactly(5)
        plane.send(OK)

    site.one.script = script
    client = connect()
    client.ask("/", *EXPECTS, method="POST")
    assert client.head().status == 100
    client.send(b"hello")
    assert client.head().status == 200
    assert expected == [b"100-continue"]


@pytest.mark.rule("Q10")
def test_client_need_not_wait_for_the_100(site, connect):
    """RFC 9110 §10.1.1: it may send its body after a while, or at once."""
    client = connect()
    client.ask("/", "Expect: 100-continue", method="POST", body=b"hello")
    assert client.response().status == 200
    assert site.one.got().body == b"hello"


@pytest.mark.rule("Q10")
def test_backend_may_take_the_body_without_a_word(site, connect):
    """The client has given up waiting; nobody ever says 100."""

    def script(plane: Conversation) -> None:
        plane.head()
        asked.set()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + plane.exactly(5))

    asked = threading.Event()
    site.one.script = script
    client = connect()
    client.ask("/", *EXPECTS, method="POST")
    assert asked.wait(PATIENCE_S)
    client.send(b"hello")
    response = client.head()
    assert response.status == 200
    assert client.exactly(5) == b"hello"


@pytest.mark.rule("Q10")
def test_expectation_of_http_1_0_is_none(site, connect):
    """RFC 9110 §10.1.1, and no 1xx for it (§15.2)."""
    client = connect()
    client.ask("/", "Expect: 100-continue", method="POST", body=b"hello", version="1.0")
    assert client.head().status == 200
    assert site.one.got().body == b"hello"


@pytest.mark.rule("Q10", "Q11")
def test_expectation_of_a_body_too_large_ends_in_413(site, connect):
    client = connect()
    length = f"Content-Length: {SMALL_BODY + 1}"
    client.ask("/", "Expect: 100-continue", length, method="POST", host="small.test")
    assert client.head().status == 413
    assert site.one.connections == 0


@pytest.mark.rule("Q10")
@pytest.mark.parametrize(("host", "status"), [("nowhere.test", 404), ("refused.test", 502)])
def test_error_of_ours_ends_an_expectation(site, connect, host, status):
    client = connect()
    client.ask("/", *EXPECTS, method="POST", host=host)
    assert client.head().status == status


@pytest.mark.rule("R4")
def test_several_hints_pass_in_order(site, connect):
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n"
    site.one.script = site.one.answers(b"".join(hint % n for n in range(3)) + OK)
    client = connect()
    client.ask()
    heads = [client.head() for _ in range(4)]
    assert [head.status for head in heads] == [103, 103, 103, 200]
    assert [head.one("Link") for head in heads[:3]] == [b"</0>", b"</1>", b"</2>"]


@pytest.mark.rule("R4")
def test_hints_come_before_the_answer_is_there(site, connect):
    hinted = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        assert hinted.wait(PATIENCE_S)
        plane.send(OK)

    site.one.script = script
    client = connect()
    client.ask()
    assert client.head().status == 103
    hinted.set()
    assert client.head().status == 200


@pytest.mark.rule("R4")
def test_interim_answers_have_no_body(site, connect):
    """Whatever their lengths say (R2)."""
    site.one.script = site.one.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n" + OK
    )
    client = connect()
    for _ in range(2):
        client.ask()
        assert client.response().body == b"ok"
