"""R1, R2, R7, R8: what of a backend's answer reaches the client, and in what form."""

import pytest

from tests.conformance.backends import OK
from tests.conformance.scripts import answer
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


@pytest.mark.rule("cookies")
def test_backends_cannot_set_the_admins_cookies(site, get):
    site.one.script = site.one.answers(
        answer(b"Set-Cookie: proxysite_sessionid=evil; Path=/", b"Set-Cookie: sessionid=own")
    )
    assert get().all("Set-Cookie") == [b"sessionid=own"]
