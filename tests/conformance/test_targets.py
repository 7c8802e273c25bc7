"""Q1, Q2, Q6: which route takes a request, and the target and Host its backend gets."""

import pytest

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


@pytest.mark.rule("Q6")
def test_http_1_0_needs_no_host(site, connect):
    client = connect()
    client.send(b"GET http://plain.test/ HTTP/1.0\r\n\r\n")
    response = client.response()
    assert (response.status, response.body) == (200, b"ok")
    assert site.one.got().one("Host") == b"plain.test"


@pytest.mark.rule("Q6")
@pytest.mark.parametrize(
    "target",
    [
        "http://user@plain.test/",
        "http://user:word@plain.test/",
        "http:///x",
        "http://",
        "http://plain.test:x/",
        "ftp://plain.test/",
        "plain.test:80",
        "plain.test",
        "*",
        "?q",
        "#x",
        "/x#y",
        "/a\xe9\x00",
    ],
)
def test_target_that_names_no_path_of_ours_reaches_no_backend(site, get, target):
    """Userinfo hides the host from people (RFC 9110 §4.2.4)."""
    assert get(target).status in (400, 404)
    assert site.one.connections == 0


@pytest.mark.rule("Q6")
def test_authority_of_the_target_wins_for_routes_and_backend(site, connect):
    client = connect()
    client.send(b"GET http://PLAIN.test:81/x HTTP/1.1\r\nHost: strip.test\r\n\r\n")
    assert client.response().status == 200
    request = site.one.got()
    assert (request.target, request.one("Host")) == (b"/x", b"PLAIN.test:81")


@pytest.mark.rule("Q6")
def test_authority_of_the_target_stands_for_no_missing_host(site, connect):
    """RFC 9112 §3.2: an HTTP/1.1 request without Host is 400, whatever its form."""
    client = connect()
    client.send(b"GET http://plain.test/x HTTP/1.1\r\n\r\n")
    assert client.response().status == 400
    assert site.one.connections == 0


@pytest.mark.rule("Q6")
@pytest.mark.parametrize(
    "fields", ["Host: \r\n", "Host: a b\r\n", "Host: plain.test\r\nHost: plain.test\r\n"]
)
def test_authority_of_the_target_stands_for_no_malformed_host(site, connect, fields):
    client = connect()
    client.send(f"GET http://plain.test/x HTTP/1.1\r\n{fields}\r\n".encode())
    assert client.response().status == 400
    assert site.one.connections == 0


@pytest.mark.rule("Q6")
def test_authority_of_the_target_may_have_no_path(site, get):
    assert get("http://plain.test").status == 200
    assert get("http://plain.test?q").status == 200
    assert [site.one.got().target for _ in range(2)] == [b"/", b"/?q"]


@pytest.mark.rule("Q6")
def test_connection_is_not_held_to_its_first_host(site, connect):
    client = connect()
    for host, status in [("plain.test", 200), ("nowhere.test", 404), ("pair.test", 200)]:
        client.ask(host=host)
        assert client.response().status == status
    assert site.one.seen.qsize() == 1
