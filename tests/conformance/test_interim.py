"""Q10, R4: 100-continue, early hints and other 1xx."""

import threading

import pytest

from tests.conformance.backends import OK, Conversation


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
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5\r\n\r\n"
    )
    assert client.head().status == 100
    client.send(b"hello")
    assert client.response().status == 200
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
