"""R3, R9: answers that are cut short or malformed."""

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import ask


@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"Content-Length: 100\r\n\r\n0123456789", id="length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n", id="chunked"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n64\r\n0123456789", id="within-chunk"),
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_body_cut_short_is_cut_short(site, get, start, how):
    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\n" + start)
        if how == "reset":
            plane.reset()

    site.one.script = script
    response = get()
    # A reset may overtake what came before it: then there is no whole answer to relay.
    assert response.cut or response.status == 502


@pytest.mark.rule("R3")
def test_malformed_chunk_cuts_the_body(site, get):
    site.one.script = site.one.answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nZZ\r\n"
    )
    response = get()
    assert response.cut or response.status == 502


@pytest.mark.rule("R3")
def test_body_cut_short_is_cut_for_http_1_0_too(site, connect):
    site.one.script = site.one.closes_after(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"
    )
    client = connect()
    client.send(b"GET http://plain.test/ HTTP/1.0\r\n\r\n")
    assert client.response().cut


@pytest.mark.rule("R3")
def test_body_until_close_is_whole(site, get):
    site.one.script = site.one.closes_after(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    response = get()
    assert (response.body, response.cut) == (b"all of it", False)


BAD = {
    "both-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "signed-length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "other-coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "stacked-codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked-1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked-twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding-with-vt": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "list-of-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
    "empty-length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "huge-length": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
    "garbage-before": b"garbage\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "body-before": b"<html>hello</html>",
    "status-of-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status-of-four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status-of-letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "status-0": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "no-colon": b"HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n",
    "no-name": b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n",
    "folded-first": b"HTTP/1.1 200 OK\r\n X-A: b\r\nContent-Length: 0\r\n\r\n",
    "half-a-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "many-fields": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n",
    "only-1xx": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "rtsp": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status": b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    "reason": b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "bare-cr": b"HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 0\r\n\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "nul": b"HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "oversized": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "endless-1xx": b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000,
    "unasked-101": b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n"
    b"Connection: upgrade\r\n\r\n",
    "empty": b"",
}


@pytest.mark.rule("R9")
@pytest.mark.parametrize("case", BAD)
def test_bad_answer_is_502(site, get, case):
    site.one.script = site.one.closes_after(BAD[case])
    response = get()
    assert response.status == 502
    assert not response.cut


@pytest.mark.rule("R9")
@pytest.mark.parametrize(
    "chunk", [b"ffffffffffffffff1\r\n", b"-1\r\n", b"+2\r\n", b"0x2\r\n", b" 2\r\n", b"2\n"]
)
def test_answer_with_a_bad_chunk_is_cut(site, get, chunk):
    site.one.script = site.one.closes_after(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
        + chunk
        + b"poison\r\n0\r\n\r\n"
    )
    response = get()
    assert response.cut or response.status == 502
    assert b"poison" not in response.body


@pytest.mark.rule("R9")
def test_trailers_without_end_are_cut(site, get):
    site.one.script = site.one.closes_after(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
        + b"X-A: b\r\n" * 50_000
    )
    response = get()
    assert response.cut or response.status == 502


@pytest.mark.rule("R9")
def test_bad_answer_spoils_no_other(site, connect):
    """Its connection is not used again, and the client's goes on."""
    site.one.script = site.one.answers(BAD["two-lengths"], OK)
    client = connect()
    client.ask()
    assert client.response().status == 502
    client.ask()
    assert client.response().body == b"ok"
    assert site.one.connections == 2


@pytest.mark.rule("R9")
@pytest.mark.parametrize("reason", [b"", b" "])
def test_reason_may_be_missing(site, get, reason):
    site.one.script = site.one.answers(
        b"HTTP/1.1 200" + reason + b"\r\nContent-Length: 2\r\n\r\nok"
    )
    assert get().body == b"ok"


@pytest.mark.rule("R3")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_cut_answer_ends_the_clients_connection(site, connect, version):
    """Nothing comes behind the hole, however many requests wait."""
    site.one.script = site.one.closes_after(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"
    )
    client = connect()
    client.send(ask(version=version) + ask("/next"))
    response = client.response()
    assert response.cut
    assert len(response.body) <= 10
