"""Q1 to Q12: what of a request reaches a backend, and in what form."""

from contextlib import suppress

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.site import SMALL_BODY, TRUSTED

TARGETS = [
    "/a%2Fb%20c+d",
    "/%7Euser/%e9;v=1",
    "//double//slash/",
    "/./dot/../segments",
    "/?a=1&b=2&a=3&flag&&=x&c=%20+",
    "/x?",
    "/x??y?z",
]


@pytest.mark.rule("Q1")
@pytest.mark.parametrize("target", TARGETS)
def test_target_is_byte_for_byte(site, get, target):
    assert get(target).status == 200
    assert site.one.got().target == target.encode()


@pytest.mark.rule("Q1")
@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?q", "/?q"),
        ("/api/%2Fx//y?a=1&a=2", "/%2Fx//y?a=1&a=2"),
        ("/api//x", "//x"),
    ],
)
def test_stripped_prefix_leaves_the_rest(site, get, asked, sent):
    assert get(asked, host="strip.test").status == 200
    assert site.one.got().target == sent.encode()


@pytest.mark.rule("Q1")
def test_replaced_prefix_leaves_the_rest(site, get):
    get("/v1/a%20b?c", host="replace.test")
    assert site.one.got().target == b"/app/a%20b?c"


@pytest.mark.rule("Q1")
def test_absolute_form_is_routed_by_its_authority(site, get):
    assert get("http://plain.test/x?y", host="other.test").status == 200
    request = site.one.got()
    assert request.target == b"/x?y"
    assert request.one("Host") == b"plain.test"


@pytest.mark.rule("Q2")
@pytest.mark.parametrize(("target", "status"), [("/api/x", 200), ("/apix", 404), ("/ap", 404)])
def test_prefix_matches_on_segments(get, target, status, site):
    assert get(target, host="strip.test").status == status


@pytest.mark.rule("Q2")
@pytest.mark.parametrize(
    ("host", "target", "pool"),
    [
        ("exact.wild.test", "/api/x", "pair"),
        ("other.wild.test", "/", "one"),
        ("OTHER.wild.test.:81", "/apix", "one"),
        ("other.wild.test", "/api/x", "pair"),
    ],
)
def test_exact_host_then_longest_prefix(site, get, host, target, pool):
    assert get(target, host=host).status == 200
    assert site.one.seen.empty() is (pool == "pair")


@pytest.mark.rule("Q3")
def test_hop_by_hop_fields_stop_here(site, get):
    get(
        "/",
        "Connection: keep-alive, X-Secret, X-Forwarded-For",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Upgrade: h2c",
        "X-Secret: 1",
        "X-Kept: 1",
    )
    request = site.one.got()
    names = {name for name, _ in request.headers}
    assert not names & {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"upgrade",
        b"x-secret",
    }
    assert request.one("X-Kept") == b"1"
    # Named in Connection, and yet there: ours are added afterwards.
    assert request.one("X-Forwarded-For") == b"127.0.0.1"


@pytest.mark.rule("Q4")
def test_untrusted_peer_cannot_say_where_it_comes_from(site, get):
    get(
        "/",
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-Ssl: on",
        "X-Real-IP: 1.2.3.4",
        "Forwarded: for=1.2.3.4",
        host="plain.test:8000",
    )
    request = site.one.got()
    assert request.one("X-Forwarded-For") == b"127.0.0.1"
    assert request.one("X-Forwarded-Proto") == b"http"
    assert request.one("X-Forwarded-Host") == b"plain.test:8000"
    assert request.one("X-Forwarded-Port") == b"8000"
    for name in ("X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Real-IP", "Forwarded"):
        assert request.one(name) is None


@pytest.mark.rule("Q4")
def test_trusted_peer_is_continued(site, get):
    get(
        "/api/x",
        "X-Forwarded-For: 1.2.3.4, 5.6.7.8",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: public.test",
        "X-Forwarded-Port: 443",
        "X-Forwarded-Prefix: /outer",
        host="strip.test",
        source=TRUSTED,
    )
    request = site.one.got()
    assert request.one("X-Forwarded-For") == f"1.2.3.4, 5.6.7.8, {TRUSTED}".encode()
    assert request.one("X-Forwarded-Proto") == b"https"
    assert request.one("X-Forwarded-Host") == b"public.test"
    assert request.one("X-Forwarded-Port") == b"443"
    assert request.one("X-Forwarded-Prefix") == b"/outer/api"


@pytest.mark.rule("Q5")
def test_names_with_an_underscore_are_dropped(site, get):
    get("/", "X_User: root", "X-User: me")
    request = site.one.got()
    assert request.one("X-User") == b"me"
    assert b"_" not in request.raw.partition(b"\r\n")[2]


@pytest.mark.rule("Q5")
@pytest.mark.parametrize("field", ["SCRIPT_NAME: /zzz", "PATH_INFO: /admin/"])
def test_no_field_moves_a_request_to_another_path(site, get, field):
    """gunicorn takes these as commands from trusted peers, which may pass a client's on."""
    assert get("/x", field, source=TRUSTED).status == 200
    assert site.one.got().target == b"/x"
    aliased = get("/-/admin/login/", "SCRIPT_NAME: /-", host="localhost", source=TRUSTED)
    assert aliased.status == 404


@pytest.mark.rule("Q6")
def test_host_is_preserved(site, get):
    get("/", host="PLAIN.test:81")
    assert site.one.got().one("Host") == b"PLAIN.test:81"


@pytest.mark.rule("Q6")
def test_host_of_the_backend(site, get):
    get("/api", host="backend-host.test")
    assert site.one.got().one("Host") == f"127.0.0.1:{site.one.port}".encode()


@pytest.mark.rule("Q6")
def test_fixed_host(site, get):
    get("/", host="fixed-host.test")
    assert site.one.got().one("Host") == b"inner.test"


@pytest.mark.rule("Q6")
@pytest.mark.parametrize(
    "fields",
    [
        "",
        "Host: plain.test\r\nHost: plain.test\r\n",
        "Host: plain.test\r\nHost: other.test\r\n",
        "Host: plain.test/x\r\n",
        "Host: plain.test, other.test\r\n",
        "Host: user@plain.test\r\n",
        "Host: plain.test:x\r\n",
        "Host: \r\n",
    ],
)
def test_missing_repeated_or_bad_host_is_400(site, connect, fields):
    client = connect()
    client.send(f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
    assert client.response().status == 400
    assert site.one.seen.empty()


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


@pytest.mark.rule("Q8")
def test_media_types_are_the_backends_affair(site, get):
    odd = "a/b; x*=bogus''%ff"
    assert get("/", f"Content-Type: {odd}", f"Accept: {odd}").status == 200
    assert site.one.got().one("Content-Type") == odd.encode()
    assert get("/", f"Accept: {odd}", host="nowhere.test").status == 404


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


@pytest.mark.rule("Q8")
def test_length_stays_length(site, get):
    get("/", method="POST", body=b"hello")
    request = site.one.got()
    assert (request.one("Content-Length"), request.body) == (b"5", b"hello")
    assert request.one("Transfer-Encoding") is None


@pytest.mark.rule("Q8")
def test_chunked_is_chunked_again(site, connect):
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert client.response().status == 200
    request = site.one.got()
    assert request.one("Transfer-Encoding") == b"chunked"
    assert request.one("Content-Length") is None
    assert request.body == b"hello!"


@pytest.mark.rule("Q8")
def test_empty_body_keeps_its_length(site, connect):
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 0\r\n\r\n")
    assert client.response().status == 200
    assert site.one.got().one("Content-Length") == b"0"


@pytest.mark.rule("Q8")
@pytest.mark.parametrize("chunked", [False, True])
def test_body_goes_on_as_it_comes(site, connect, chunked):
    """The backend has the first bytes before the client sends the last."""

    def script(plane: Conversation) -> None:
        plane.head()
        first = plane.chunk() if chunked else plane.exactly(5)
        plane.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"6\r\nsecond\r\n0\r\n\r\n" if chunked else b"second")
        second = plane.chunk() if chunked else plane.exactly(6)
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + first + second)

    site.one.script = script
    client = connect()
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 11"
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\n" + framing + b"\r\n\r\n")
    client.send(b"5\r\nfirst\r\n" if chunked else b"first")
    assert client.response().body == b"firstsecond"


@pytest.mark.rule("Q8")
def test_large_bodies_pass_both_ways(site, connect):
    size = 20_000_000

    def script(plane: Conversation) -> None:
        request = plane.head()
        assert request is not None
        left = int(request.one("Content-Length") or 0)
        while left:
            left -= len(plane.exactly(min(left, 65_536)))
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    site.one.script = script
    client = connect()
    client.send(
        b"PUT / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    )
    response = client.response()
    assert (response.status, len(response.body), response.cut) == (200, size, False)


@pytest.mark.rule("Q9")
def test_connect_is_405(site, connect):
    client = connect()
    client.send(b"CONNECT plain.test:80 HTTP/1.1\r\nHost: plain.test:80\r\n\r\n")
    response = client.response()
    assert response.status == 405
    assert response.one("Allow")


@pytest.mark.rule("Q9")
def test_trace_is_405(site, get):
    assert get("/", method="TRACE").status == 405
    assert site.one.seen.empty()


@pytest.mark.rule("Q9")
def test_h2c_is_never_offered_to_a_backend(site, get):
    response = get(
        "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"
    )
    assert response.status == 200
    request = site.one.got()
    assert request.one("Upgrade") is None
    assert request.one("HTTP2-Settings") is None


@pytest.mark.rule("Q9")
def test_websocket_is_tunnelled(site, connect):
    def script(plane: Conversation) -> None:
        request = plane.head()
        if request is None or request.one("Upgrade") != b"websocket":
            plane.send(OK)
            return
        plane.send(
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
        )
        plane.send(plane.exactly(4))

    site.one.script = script
    client = connect()
    client.send(
        b"GET / HTTP/1.1\r\nHost: plain.test\r\n"
        b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert client.head().status == 101
    client.send(b"ping")
    assert client.exactly(4) == b"ping"


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


@pytest.mark.rule("Q11")
def test_large_header_is_431(site, connect):
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n")
    assert client.response().status == 431
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_long_target_is_414(site, connect):
    client = connect()
    client.send(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.response().status == 414
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_large_body_is_413_before_it_comes(site, connect):
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: small.test\r\nContent-Length: %d\r\n\r\n" % (SMALL_BODY + 1)
    )
    assert client.response().status == 413
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_large_chunked_body_is_413_while_it_comes(site, connect):
    site.one.script = Conversation.drain
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: small.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"%x\r\n%b\r\n" % (SMALL_BODY + 1, bytes(SMALL_BODY + 1)))
    assert client.response().status == 413


@pytest.mark.rule("Q11")
def test_body_of_the_largest_size_passes(site, get):
    assert get("/", host="small.test", method="POST", body=bytes(SMALL_BODY)).status == 200


@pytest.mark.rule("Q12")
def test_via_is_added_to_what_came(site, get):
    get("/", "Via: 1.0 outer")
    assert site.one.got().all("Via")[-1].endswith(b"1.1 proxysite")


@pytest.mark.rule("Q12")
def test_request_id_of_a_stranger_is_replaced(site, get):
    response = get("/", "X-Request-ID: mine")
    made = site.one.got().one("X-Request-ID")
    assert made is not None
    assert made != b"mine"
    assert response.one("X-Request-ID") == made


@pytest.mark.rule("Q12")
def test_request_id_of_a_trusted_peer_is_kept(site, get):
    get("/", "X-Request-ID: theirs", source=TRUSTED)
    assert site.one.got().one("X-Request-ID") == b"theirs"


@pytest.mark.rule("Q12")
def test_traceparent_is_untouched(site, get):
    get("/", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert site.one.got().one("traceparent") == (
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    )


@pytest.mark.rule("cookies")
def test_cookies_of_the_admin_reach_no_backend(site, get):
    get("/", "Cookie: a=1; proxysite_sessionid=x; b=2; proxysite_csrftoken=y")
    assert site.one.got().one("Cookie") == b"a=1; b=2"


@pytest.mark.rule("cookies")
def test_cookies_of_the_admin_in_a_second_field_reach_no_backend(site, get):
    get("/", "Cookie: a=1", "Cookie: proxysite_sessionid=SECRET; b=2")
    got = site.one.got().all("Cookie")
    assert b"SECRET" not in b"".join(got)
    assert [pair.strip() for value in got for pair in value.split(b";")] == [b"a=1", b"b=2"]


@pytest.mark.rule("edits")
def test_fields_are_set_and_removed_as_the_route_says(site, get):
    site.one.script = site.one.answers(
        b"HTTP/1.1 200 OK\r\nX-Gone: 1\r\nX-Added: no\r\nContent-Length: 0\r\n\r\n"
    )
    response = get("/", "X-Gone: 1", "X-Added: no", host="edited.test")
    for message in (site.one.got(), response):
        assert message.one("X-Added") == b"yes"
        assert message.one("X-Gone") is None


@pytest.mark.rule("Q1")
def test_pipelined_requests_are_each_served(site, connect):
    client = connect()
    one = b"POST /%d HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 5\r\n\r\nhello"
    client.send(one % 1 + one % 2)
    assert client.response().status == 200
    assert client.response().status == 200
    assert [site.one.got().target for _ in range(2)] == [b"/1", b"/2"]


@pytest.mark.rule("Q6")
def test_http_1_0_needs_no_host(site, connect):
    client = connect()
    client.send(b"GET http://plain.test/ HTTP/1.0\r\n\r\n")
    response = client.response()
    assert (response.status, response.body) == (200, b"ok")
    assert site.one.got().one("Host") == b"plain.test"
