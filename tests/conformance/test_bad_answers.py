"""R3, R9: answers that are cut short or malformed."""

import pytest

from tests.conformance.backends import Conversation


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
