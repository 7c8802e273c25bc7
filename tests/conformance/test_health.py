"""F6 to F8: ejection, draining, and a database that is away."""

import pytest

from tests.conformance.client import Client
from tests.conformance.scripts import dies


@pytest.mark.rule("F6")
def test_backend_that_keeps_failing_is_left_alone(site, get):
    """After two failures in a row; clients notice none of it."""
    site.left.script = dies
    assert {get(host="ejecting.test").status for _ in range(12)} == {200}
    assert site.left.connections == 2


@pytest.mark.rule("F6")
def test_client_that_stalls_its_upload_ejects_nobody(site, connect, get):
    """Whichever limit passes first it is the client's fault; here the exchange's does."""
    for _ in range(4):
        client = connect()
        client.send(b"POST / HTTP/1.1\r\nHost: impatient.test\r\nContent-Length: 9\r\n\r\nabc")
        assert client.response().status == 408
    assert {get(host="impatient.test").status for _ in range(4)} == {200}
    assert not site.left.seen.empty()
    assert not site.right.seen.empty()


@pytest.mark.rule("F7")
def test_draining_backend_gets_no_new_requests(site, get):
    assert {get(host="draining.test").status for _ in range(4)} == {200}
    assert site.left.connections == 0


@pytest.mark.rule("F7")
def test_sticky_client_stays(site, get):
    cookie = get(host="sticky.test").one("Set-Cookie")
    assert cookie is not None
    name = cookie.partition(b";")[0].decode()
    first = site.left if site.right.seen.empty() else site.right
    first.got()
    for _ in range(4):
        response = get("/", f"Cookie: mine=1; {name}", host="sticky.test")
        assert response.one("Set-Cookie") is None
        assert first.got().one("Cookie") == b"mine=1"


@pytest.mark.rule("F8")
def test_traffic_goes_on_without_the_database(plane, site, tmp_path):
    """With what was published last: the hardest moment is a start."""
    own = type(plane)()
    own.start(site.document(), tmp_path)
    try:
        client = Client(own.restart_without_database(), "127.0.0.1")
        client.send(b"GET / HTTP/1.1\r\nHost: pair.test\r\n\r\n")
        assert client.response().status == 200
        client.sock.close()
    finally:
        own.stop()
