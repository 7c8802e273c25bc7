"""R1 to R9: what of a backend's answer reaches the client, and in what form."""

import threading
from contextlib import suppress

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S
from tests.conformance.site import TRUSTED

REPEATED = [
    (b"Set-Cookie", b'a="x y"; Path=/; Partitioned; Priority=High'),
    (b"Link", b"</one>; rel=preload"),
    (b"Set-Cookie", b"b=2; expires=Thu, 01 Jan 2032 00:00:00 GMT"),
    (b"WWW-Authenticate", b'Basic realm="a"'),
    (b"WWW-Authenticate", b'Digest realm="b", nonce="c"'),
    (b"link", b"</two>; rel=preload"),
    (b"X-Odd", b"caf\xe9\xff  inner   spaces"),
]


def answer(*fields: bytes, status: bytes = b"200 OK", body: bytes = b"") -> bytes:
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(lines) + body


@pytest.mark.rule("R1")
def test_repeated_fields_keep_number_order_and_value(site, get):
    site.one.script = site.one.answers(answer(*(b": ".join(pair) for pair in REPEATED)))
    response = get()
    names = {name.lower() for name, _ in REPEATED}
    assert [pair for pair in response.headers if pair[0].lower() in names] == REPEATED


@pytest.mark.rule("R1")
def test_status_and_reason_pass(site, get):
    site.one.script = site.one.answers(answer(status=b"418 I'm a teapot"))
    response = get()
    assert (response.status, response.reason) == (418, b"I'm a teapot")


@pytest.mark.rule("R1")
def test_hop_by_hop_fields_stop_here(site, get):
    site.one.script = site.one.answers(
        answer(
            b"Connection: keep-alive, X-Secret",
            b"X-Secret: 1",
            b"Keep-Alive: timeout=9",
            b"Upgrade: h2",
            b"Proxy-Authenticate: Basic",
        )
    )
    response = get()
    assert response.status == 200
    for name in ("X-Secret", "Keep-Alive", "Upgrade", "Proxy-Authenticate"):
        assert response.one(name) is None


@pytest.mark.rule("R1")
def test_date_and_server_are_the_backends(site, get):
    date = b"Tue, 15 Nov 1994 08:12:31 GMT"
    site.one.script = site.one.answers(answer(b"Date: " + date, b"Server: theirs"))
    response = get()
    assert (response.all("Date"), response.all("Server")) == ([date], [b"theirs"])


@pytest.mark.rule("R2")
def test_head_has_the_length_and_no_body(site, connect):
    site.one.script = site.one.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    client = connect()
    for _ in range(2):  # on one connection: a body would be taken for the next answer
        client.send(b"HEAD / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        response = client.response("HEAD")
        assert (response.status, response.one("Content-Length")) == (200, b"1000")
    assert site.one.connections == 1


@pytest.mark.rule("R2")
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_204_and_304_have_no_body(site, connect, status):
    site.one.script = site.one.answers(
        b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\nETag: x\r\n\r\n"
    )
    client = connect()
    for _ in range(2):
        client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        response = client.response()
        assert response.status == int(status[:3])
        assert response.one("ETag") == b"x"
    assert response.one("Content-Length") == (b"7" if response.status == 304 else None)


@pytest.mark.rule("R2")
def test_bytes_behind_a_head_answer_poison_nothing(site, connect):
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    site.one.script = site.one.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + poison)
    client = connect()
    client.send(b"HEAD / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.response("HEAD").status == 200
    site.one.script = site.one.answers(OK)
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.response().body == b"ok"


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
def test_other_interim_answers_do_no_harm(site, get):
    site.one.script = site.one.answers(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK
    )
    assert get().body == b"ok"


@pytest.mark.rule("R5")
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_first_event_arrives_at_once(site, connect, framing):
    """The backend sends no second event before the client has the first."""
    got = threading.Event()

    def event(text: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(text), text) if framing == "chunked" else text

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        plane.send(b"Transfer-Encoding: chunked\r\n\r\n" if framing == "chunked" else b"\r\n")
        plane.send(event(b"data: 1\n\n"))
        assert got.wait(PATIENCE_S)
        plane.send(event(b"data: 2\n\n") + (b"0\r\n\r\n" if framing == "chunked" else b""))

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.head().status == 200
    assert client.exactly(int(client.line(), 16)) == b"data: 1\n\n"
    got.set()
    assert client.line() == b""
    assert client.exactly(int(client.line(), 16)) == b"data: 2\n\n"


@pytest.mark.rule("R5")
def test_head_arrives_before_any_body(site, connect):
    got = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        assert got.wait(PATIENCE_S)
        plane.send(b"ok")

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.head().status == 200
    got.set()
    assert client.exactly(2) == b"ok"


@pytest.mark.rule("R6")
@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sent", [0, 10, 200_000])
def test_early_answer_is_relayed_while_the_client_pauses(site, connect, framing, sent):
    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        plane.closed()

    site.one.script = script
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\n" + framing + b"\r\n\r\n")
    if sent:
        chunked = framing.endswith(b"chunked")
        client.send(b"%x\r\n%b" % (sent * 2, bytes(sent)) if chunked else bytes(sent))
    response = client.response()
    assert (response.status, response.body) == (403, b"no")


@pytest.mark.rule("R6")
def test_backend_that_answers_while_it_reads_gets_the_whole_body(site, connect):
    """A good answer that has only begun is no reason to stop the upload."""
    size = 3_000_000

    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nread\r\n")
        plane.send(b"7\r\n%d\r\n0\r\n\r\n" % len(plane.exactly(size)))

    site.one.script = script
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: %d\r\n\r\n" % size
        + bytes(size)
    )
    assert client.response().body == b"read%d" % size


@pytest.mark.rule("R6")
def test_early_answer_is_relayed_while_the_backend_does_not_read(site, connect):
    """More is on its way than all buffers hold, so sending to the backend has stopped."""

    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        plane.closed()

    site.one.script = script
    client = connect()
    size = 50_000_000
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: %d\r\n\r\n" % size)

    def upload() -> None:
        with suppress(OSError):  # cut off, as it may be
            client.send(bytes(size))

    sending = threading.Thread(target=upload)
    sending.start()
    response = client.head()
    client.sock.close()
    sending.join()
    assert response.status == 413


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    ("host", "location", "expected"),
    [
        ("strip.test", "/login?next=/x", "/api/login?next=/x"),
        ("strip.test", "/", "/api/"),
        ("strip.test", "/api/login", "/api/login"),
        ("strip.test", "relative", "relative"),
        ("strip.test", "http://strip.test/x", "http://strip.test/api/x"),
        ("strip.test", "https://elsewhere.test/x", "https://elsewhere.test/x"),
        ("strip.test", "//elsewhere.test/x", "//elsewhere.test/x"),
        ("strip.test", "http://127.0.0.1:{port}/x#f", "http://strip.test/api/x#f"),
        ("backend-host.test", "http://127.0.0.1:{port}/x", "http://backend-host.test/api/x"),
        ("plain.test", "/x", "/x"),
        ("plain.test", "http://plain.test/x", "http://plain.test/x"),
    ],
)
def test_location_is_mended(site, get, host, location, expected):
    sent = location.format(port=site.one.port).encode()
    site.one.script = site.one.answers(
        answer(b"Location: " + sent, b"Content-Location: " + sent, status=b"302 Found")
    )
    response = get("/api/x", host=host)
    assert response.one("Location") == expected.encode()
    assert response.one("Content-Location") == expected.encode()


@pytest.mark.rule("R7")
def test_location_of_the_fixed_host_comes_back(site, get):
    site.one.script = site.one.answers(
        answer(b"Location: http://inner.test/x", status=b"302 Found")
    )
    response = get("/", "X-Forwarded-Proto: https", host="fixed-host.test", source=TRUSTED)
    assert response.one("Location") == b"https://fixed-host.test/x"


@pytest.mark.rule("R7")
def test_cookie_paths_are_mended(site, get):
    site.one.script = site.one.answers(
        answer(
            b"Set-Cookie: a=1; Path=/; HttpOnly",
            b"Set-Cookie: b=2;path=/x/y",
            b"Set-Cookie: c=3",
            b"Set-Cookie: __Host-d=4; Path=/; Secure",
        )
    )
    assert get("/api/x", host="strip.test").all("Set-Cookie") == [
        b"a=1; Path=/api; HttpOnly",
        b"b=2;path=/api/x/y",
        b"c=3",
        b"__Host-d=4; Path=/; Secure",
    ]


@pytest.mark.rule("R8")
def test_trailers_are_no_headers(site, connect):
    site.one.script = site.one.answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-Late: 1\r\nSet-Cookie: a=1\r\n\r\n"
    )
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    response = client.response()
    assert response.body == b"ok"
    assert response.one("X-Late") is None
    assert response.one("Set-Cookie") is None


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


@pytest.mark.rule("cookies")
def test_backends_cannot_set_the_admins_cookies(site, get):
    site.one.script = site.one.answers(
        answer(b"Set-Cookie: proxysite_sessionid=evil; Path=/", b"Set-Cookie: sessionid=own")
    )
    assert get().all("Set-Cookie") == [b"sessionid=own"]
