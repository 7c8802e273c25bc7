"""Q7: a request that can be read two ways is read by nobody."""

from contextlib import suppress

import pytest

from tests.conformance.backends import Conversation


@pytest.mark.rule("Q7")
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="both"
        ),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", id="two-lengths"),
        pytest.param(b"Content-Length: 5, 6\r\n\r\nhello!", id="list-of-lengths"),
        pytest.param(b"Content-Length: +5\r\n\r\nhello", id="signed-length"),
        pytest.param(b"Content-Length: 0x5\r\n\r\nhello", id="hex-length"),
        pytest.param(b"Content-Length: -5\r\n\r\n", id="negative-length"),
        pytest.param(b"Transfer-Encoding: identity\r\n\r\n", id="not-chunked"),
        pytest.param(
            b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", id="chunked-not-last"
        ),
        pytest.param(b"X-A : b\r\n\r\n", id="space-before-colon"),
        pytest.param(b"X-A: b\r\n c\r\n\r\n", id="folded"),
        pytest.param(b"X-A: b\rc\r\n\r\n", id="bare-cr"),
        pytest.param(b"X-A: b\nX-B: c\r\n\r\n", id="bare-lf"),
        pytest.param(b"X-A: b\0c\r\n\r\n", id="nul"),
    ],
)
def test_ambiguous_framing_is_refused(site, connect, fields):
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\n" + fields)
    assert client.response().status == 400
    assert client.rest() == b""  # and closed
    assert site.one.seen.empty()


@pytest.mark.rule("Q7")
def test_unknown_coding_is_refused(site, connect):
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
    )
    assert client.response().status in (400, 501)
    assert client.rest() == b""
    assert site.one.seen.empty()


@pytest.mark.rule("Q7")
def test_chunked_from_http_1_0_is_refused(site, connect):
    client = connect()
    client.send(
        b"POST / HTTP/1.0\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert client.response().status == 400
    assert site.one.seen.empty()


@pytest.mark.rule("Q7")
@pytest.mark.parametrize(
    "chunk",
    [b"zz\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n"],
)
def test_bad_chunk_is_refused_and_ends_no_request(site, connect, chunk):
    completed = []

    def script(plane: Conversation) -> None:
        with suppress(EOFError):
            completed.append(plane.request())

    site.one.script = script
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
    )
    assert client.response().status == 400
    assert client.rest() == b""
    assert completed == []


@pytest.mark.rule("Q7")
@pytest.mark.parametrize("coding", ["gzip, chunked", "identity, chunked"])
def test_coded_body_is_refused_rather_than_passed_as_if_plain(site, connect, coding):
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: %b\r\n\r\n0\r\n\r\n"
        % coding.encode()
    )
    assert client.response().status in (400, 501)
    assert site.one.seen.empty()
