"""F1: what a client gets where a backend fails."""

import json

import pytest

from tests.conformance.backends import Conversation
from tests.conformance.scripts import silent


@pytest.mark.rule("F1")
@pytest.mark.parametrize(
    ("host", "status"), [("nowhere.test", 404), ("refused.test", 502), ("empty.test", 503)]
)
def test_codes(get, site, host, status):
    response = get(host=host)
    assert response.status == status
    assert (response.one("Retry-After") is not None) is (status == 503)
    request_id = response.one("X-Request-ID")
    assert request_id
    assert request_id in response.body
    assert b"127.0.0.1" not in response.body
    assert str(site.refused).encode() not in response.body


@pytest.mark.rule("F1")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html;q=0.5, application/json", "application/json"),
    ],
)
def test_errors_are_what_the_client_accepts(get, site, accept, kind):
    response = get("/", f"Accept: {accept}", host="empty.test")
    assert response.one("Content-Type") == kind.encode()
    if kind == "application/json":
        told = json.loads(response.body)
        assert told["status"] == 503
        assert told["request_id"].encode() == response.one("X-Request-ID")


@pytest.mark.rule("F1")
def test_error_for_head_has_no_body(get, site):
    assert get(host="empty.test", method="HEAD").status == 503


@pytest.mark.rule("F1")
@pytest.mark.parametrize("end", ["close", "reset"])
def test_no_answer_is_502(site, get, end):
    def script(plane: Conversation) -> None:
        plane.head()
        if end == "reset":
            plane.reset()

    site.one.script = script
    assert get().status == 502


@pytest.mark.rule("F1")
def test_late_answer_is_504(site, get):
    site.one.script = silent
    assert get(host="slow.test").status == 504


@pytest.mark.rule("F1")
def test_exchange_too_long_is_504(site, get):
    site.one.script = silent
    assert get(host="bounded.test").status == 504


@pytest.mark.rule("F1")
def test_silence_within_the_answer_cuts_it(site, get):
    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        plane.closed()

    site.one.script = script
    response = get(host="slow.test")
    assert (response.status, response.body, response.cut) == (200, b"hello", True)


@pytest.mark.rule("F1")
def test_name_that_does_not_resolve_stops_nothing_else(site, get):
    assert {get(host="unresolved.test").status for _ in range(4)} == {200}


@pytest.mark.rule("F1")
def test_tls_backend_is_verified(site, get):
    assert get(host="secure.test").body == b"ok"
    assert get(host="unverified.test").status == 502
