"""Q7: a request that can be read two ways is read by nobody."""

import socket
from contextlib import suppress

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import Client, ask
from tests.conformance.site import SMALL_BODY


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


START = b"POST / HTTP/1.1\r\nHost: plain.test\r\n"
FIVE = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: plain.test\r\n\r\n"

REFUSED = {
    # Two framings, or one that another reader may not see.
    "cl-te": START + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\nG",
    "te-cl": START + CHUNKED + b"Content-Length: 4\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "te-in-capitals": START + FIVE + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n",
    "te-vertical-tab": START + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "te-ends-in-vertical-tab": START + b"Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
    "te-form-feed": START + FIVE + b"Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n",
    "te-nbsp": START + FIVE + b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n",
    "te-space-before-colon": START + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "te-tab-before-colon": START + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "te-begins-with-space": START + FIVE + b" Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-begins-with-vt": START + FIVE + b"\x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-behind-bare-cr": START + FIVE + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-behind-bare-lf": START + FIVE + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-folded": START + FIVE + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "te-quoted": START + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "te-parameter": START + b"Transfer-Encoding: chunked;x=1\r\n\r\n0\r\n\r\n",
    "te-prefix": START + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
    "te-empty": START + FIVE + b"Transfer-Encoding:\r\n\r\nhello",
    "te-twice-in-one": START + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "te-then-other": START + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "te-other-then-chunked": START + b"Transfer-Encoding: x\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    # Lengths that are no 1*DIGIT.
    "cl-differing": START + FIVE + b"Content-Length: 0\r\n\r\nhello",
    "cl-other-case": START + FIVE + b"content-length: 6\r\n\r\nhello!",
    "cl-empty": START + b"Content-Length:\r\n\r\n",
    "cl-spaces-within": START + b"Content-Length: 5 5\r\n\r\nhello",
    "cl-list-differing": START + b"Content-Length: 5,0\r\n\r\nhello",
    "cl-empty-item": START + b"Content-Length: 5,\r\n\r\nhello",
    "cl-underscore": START + b"Content-Length: 1_0\r\n\r\nhellohello",
    "cl-fraction": START + b"Content-Length: 5.0\r\n\r\nhello",
    "cl-exponent": START + b"Content-Length: 5e0\r\n\r\nhello",
    "cl-arabic": START + b"Content-Length: \xd9\xa5\r\n\r\nhello",
    "cl-superscript": START + b"Content-Length: \xb2\r\n\r\nhi",
    "cl-vertical-tab": START + b"Content-Length: \x0b5\r\n\r\nhello",
    "cl-nul": START + b"Content-Length: 5\0\r\n\r\nhello",
    "cl-of-2-64": START + b"Content-Length: 18446744073709551616\r\n\r\n",
    "cl-over-2-64": START + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    # Heads that are none.
    "no-colon": START + b"X-A\r\n\r\n",
    "no-name": START + b": x\r\n\r\n",
    "space-in-name": START + b"X A: b\r\n\r\n",
    "nul-in-name": START + b"X\0A: b\r\n\r\n",
    "control-in-name": START + b"X\x01A: b\r\n\r\n",
    "delete-in-name": START + b"X\x7fA: b\r\n\r\n",
    "8-bit-name": START + b"X\xe9: b\r\n\r\n",
    "separator-in-name": START + b"X(A): b\r\n\r\n",
    "folded-first": b"GET / HTTP/1.1\r\n Host: plain.test\r\n\r\n",
    "tab-folded-first": b"GET / HTTP/1.1\r\n\tHost: plain.test\r\n\r\n",
    "folded-host": b"GET / HTTP/1.1\r\nHost:\r\n plain.test\r\n\r\n",
    "lf-line-ends": b"GET / HTTP/1.1\nHost: plain.test\n\n",
    "cr-line-ends": b"GET / HTTP/1.1\rHost: plain.test\r\r",
    "lf-ends-the-head": b"GET / HTTP/1.1\r\nHost: plain.test\r\n\n",
    # Request lines that are none.
    "tab": b"GET\t/ HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "tab-before-version": b"GET /\tHTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "leading-space": b" GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "space-in-target": b"GET /a b HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "nul-in-target": b"GET /a\0b HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "cr-in-target": b"GET /a\rb HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "control-in-method": b"G\x01T / HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "no-target": b"GET HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "no-method": b"/ HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    "garbage-behind-version": b"GET / HTTP/1.1 x\r\nHost: plain.test\r\n\r\n",
    "version-of-letters": b"GET / HTTP/x.y\r\nHost: plain.test\r\n\r\n",
    "version-two-digits": b"GET / HTTP/1.10\r\nHost: plain.test\r\n\r\n",
    "version-comma": b"GET / HTTP/1,1\r\nHost: plain.test\r\n\r\n",
    "version-short": b"GET / HTTP/1\r\nHost: plain.test\r\n\r\n",
    "version-lower-case": b"GET / http/1.1\r\nHost: plain.test\r\n\r\n",
    "version-0.9": b"GET / HTTP/0.9\r\nHost: plain.test\r\n\r\n",
    "version-2.0": b"GET / HTTP/2.0\r\nHost: plain.test\r\n\r\n",
    "version-3.0": b"GET / HTTP/3.0\r\nHost: plain.test\r\n\r\n",
    "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http-0.9": b"GET /\r\n\r\n",
    "other-protocol": b"GET / ICE/1.0\r\nHost: plain.test\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + b"\r\n\r\n",
}

# By case: the body that the backend gets where the request is not refused.
HARMLESS = {
    "te-tab": (b"Transfer-Encoding:\tchunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "te-spaces": (b"Transfer-Encoding:  chunked  \r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "te-no-space": (b"Transfer-Encoding:chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "te-mixed-case": (b"tRANSFER-eNCODING: ChunkeD\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "te-twice": (CHUNKED + CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    "te-empty-item": (b"Transfer-Encoding: ,chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "te-with-underscore": (FIVE + b"Transfer_Encoding: chunked\r\n", b"hello"),
    "te-named-in-connection": (
        CHUNKED + b"Connection: Transfer-Encoding\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
    ),
    "cl-named-in-connection": (FIVE + b"Connection: Content-Length\r\n", b"hello"),
    "cl-spaces-around": (b"Content-Length:   5  \r\n", b"hello"),
    "cl-tab-behind": (b"Content-Length: 5\t\r\n", b"hello"),
    "cl-twice": (FIVE + FIVE, b"hello"),
    "cl-list": (b"Content-Length: 5, 5\r\n", b"hello"),
    "cl-leading-zeros": (b"Content-Length: 0005\r\n", b"hello"),
    "extension": (CHUNKED, b'5;a="b;c"\r\nhello\r\n0;z\r\n\r\n'),
    "extension-space": (CHUNKED, b"5 ;a=b\r\nhello\r\n0\r\n\r\n"),
    "leading-zeros": (CHUNKED, b"0000000000000000000005\r\nhello\r\n000\r\n\r\n"),
    "upper-case-size": (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    "trailer": (CHUNKED, b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"),
}

BAD_CHUNKS = {
    "overflow": b"ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
    "overflow-to-5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "hex-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "space-before": b" 5\r\nhello\r\n0\r\n\r\n",
    "empty-size": b"\r\nhello\r\n0\r\n\r\n",
    "extension-only": b";a=b\r\nhello\r\n0\r\n\r\n",
    "nul-behind-size": b"5\0\r\nhello\r\n0\r\n\r\n",
    "lf-behind-size": b"5\nhello\r\n0\r\n\r\n",
    "cr-behind-size": b"5\rhello\r\n0\r\n\r\n",
    "lf-in-extension": b"5;a\nhello\r\n0\r\n\r\n",
    "cr-in-extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "lf-behind-data": b"5\r\nhello\n0\r\n\r\n",
    "nothing-behind-data": b"5\r\nhello0\r\n\r\n",
    "more-than-the-size": b"5\r\nhello!\r\n0\r\n\r\n",
    "lf-behind-last": b"5\r\nhello\r\n0\n\r\n",
    "lf-at-the-end": b"5\r\nhello\r\n0\r\n\n",
    "trailer-without-colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "trailer-space-before-colon": b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "trailer-nul": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
}


def remains(client: Client) -> bytes:
    """What comes until the connection ends, be it by a reset."""
    with suppress(ConnectionError):
        return client.rest()
    return b""


@pytest.mark.rule("Q7")
@pytest.mark.parametrize("case", REFUSED)
def test_request_that_is_none_reaches_no_backend(site, connect, case):
    """Nor does what follows it on its connection."""
    client = connect()
    client.send(REFUSED[case] + NEXT)
    response = client.response()
    assert response.status in (400, 413, 501, 505)
    assert (response.cut, remains(client)) == (False, b"")
    assert site.one.connections == 0


@pytest.mark.rule("Q7")
@pytest.mark.parametrize("case", HARMLESS)
def test_odd_framing_is_refused_or_read_as_one_request(site, connect, case):
    """Both ends agree where the body ends: the request behind it is served as such."""
    fields, body = HARMLESS[case]
    client = connect()
    client.send(START + fields + b"\r\n" + body + ask("/next"))
    response = client.response()
    if response.status != 200:
        assert response.status in (400, 501)
        assert remains(client) == b""
        assert site.one.seen.empty()
        return
    assert client.response().status == 200
    first, second = site.one.got(), site.one.got()
    assert (first.target, first.body, second.target) == (b"/", b"hello", b"/next")
    assert (first.one("Content-Length") is None) is (first.one("Transfer-Encoding") is not None)
    assert site.one.seen.empty()


@pytest.mark.rule("Q7")
@pytest.mark.parametrize(
    "line", [b"GET  /x HTTP/1.1", b"GET /x  HTTP/1.1", b"GET /x HTTP/1.1 "]
)
def test_spaces_of_a_request_line_are_refused_or_one(site, connect, line):
    """RFC 9112 §3 allows to be lenient; then the backend gets single ones."""
    client = connect()
    client.send(line + b"\r\nHost: plain.test\r\n\r\n")
    if client.response().status == 400:
        assert remains(client) == b""
        # What another test left behind may come late.
        assert all(request.target != b"/x" for request in site.one.seen.queue)
    else:
        assert site.one.got().line == b"GET /x HTTP/1.1"


@pytest.mark.rule("Q7")
@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_chunk_that_is_none_ends_no_request(site, connect, case):
    completed = []

    def script(plane: Conversation) -> None:
        while (request := plane.request()) is not None:  # EOFError: it was cut
            completed.append(request)
            plane.send(OK)

    site.one.script = script
    client = connect()
    client.send(START + CHUNKED + b"\r\n" + BAD_CHUNKS[case] + NEXT)
    assert client.response().status == 400
    assert remains(client) == b""
    assert completed == []


@pytest.mark.rule("Q7")
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_body_that_looks_like_a_request_is_none(site, connect, method, framing):
    client = connect()
    if framing == "length":
        client.ask(method=method, body=NEXT)
    else:
        client.ask("/", "Transfer-Encoding: chunked", method=method)
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(NEXT), NEXT))
    client.ask("/next")
    assert [client.response().status for _ in range(2)] == [200, 200]
    first, second = site.one.got(), site.one.got()
    assert (first.target, first.body, second.target) == (b"/", NEXT, b"/next")


@pytest.mark.rule("Q7")
@pytest.mark.parametrize(
    ("host", "fields"),
    [
        ("nowhere.test", []),
        ("empty.test", []),
        ("small.test", ["X-Why: too large"]),
        ("plain.test", ["Expect: 100-continue"]),
    ],
)
def test_body_that_was_not_read_is_no_request(site, connect, host, fields):
    """Where the answer comes before the body, it is read and dropped, or never read."""

    def refuses(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    site.one.script = refuses
    body = b"GET /smuggled HTTP/1.1\r\nHost: pair.test\r\n\r\n"
    body += b"x" * (SMALL_BODY + 1)
    client = connect()
    client.ask("/", *fields, f"Content-Length: {len(body)}", method="POST", host=host)
    assert client.response().status in (404, 413, 417, 503)
    with suppress(OSError):
        client.send(body)
        client.ask("/next", host="pair.test")
        client.finish()
        client.rest()
    targets = {site.left.got().target for _ in range(site.left.seen.qsize())}
    targets |= {site.right.got().target for _ in range(site.right.seen.qsize())}
    assert targets <= {b"/next"}


@pytest.mark.rule("Q7")
def test_bytes_behind_an_answer_are_no_answer(site, connect):
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    site.one.script = site.one.answers(OK + poison)
    client = connect()
    for _ in range(3):
        client.ask()
        assert client.response().body == b"ok"


@pytest.mark.rule("Q7")
@pytest.mark.parametrize("split", range(1, 9))
def test_request_in_pieces_is_the_same_request(site, connect, split):
    """However the bytes fall into packets."""
    whole = START + CHUNKED + b"\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" + ask("/next")
    step = len(whole) // split
    client = connect()
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(whole), step):
        client.send(whole[at : at + step])
    assert [client.response().status for _ in range(2)] == [200, 200]
    assert site.one.got().body == b"hello"
    assert site.one.got().target == b"/next"


@pytest.mark.rule("Q7")
def test_empty_line_before_a_request_is_passed_over(site, connect):
    """RFC 9112 §2.2: old clients send one behind a body."""
    client = connect()
    client.send(ask(body=b"hello", method="POST") + b"\r\n" + ask("/next"))
    assert [client.response().status for _ in range(2)] == [200, 200]
    assert [site.one.got().target for _ in range(2)] == [b"/", b"/next"]
