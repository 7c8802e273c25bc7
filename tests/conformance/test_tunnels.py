"""Q9: upgrades, and what must not become one."""

import pytest

from tests.conformance.backends import OK, Conversation


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
