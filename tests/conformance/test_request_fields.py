"""Q3 to Q5, Q12: what of a request's fields reaches a backend."""

import pytest

from tests.conformance.site import TRUSTED


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


@pytest.mark.rule("Q8")
def test_media_types_are_the_backends_affair(site, get):
    odd = "a/b; x*=bogus''%ff"
    assert get("/", f"Content-Type: {odd}", f"Accept: {odd}").status == 200
    assert site.one.got().one("Content-Type") == odd.encode()
    assert get("/", f"Accept: {odd}", host="nowhere.test").status == 404


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


@pytest.mark.rule("Q3")
def test_repeated_fields_of_a_request_stay_apart(site, get):
    fields = ["X-A: 1", "X-B: caf\xe9", "x-a:  2,3 ", "X-A:"]
    assert get("/", *fields).status == 200
    request = site.one.got()
    assert request.all("X-A") == [b"1", b"2,3", b""]
    assert request.one("X-B") == b"caf\xe9"


@pytest.mark.rule("Q3", "R8")
def test_trailers_of_a_request_are_no_headers(site, connect):
    client = connect()
    client.ask("/", "Transfer-Encoding: chunked", "Trailer: X-Late", method="POST")
    client.send(b"2\r\nhi\r\n0\r\nX-Late: 1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
    client.ask("/next")
    assert [client.response().status for _ in range(2)] == [200, 200]
    for _ in range(2):
        request = site.one.got()
        assert request.one("X-Late") is request.one("Trailer") is None
        assert request.one("X-Forwarded-For") == b"127.0.0.1"
