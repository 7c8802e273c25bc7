"""TLS from clients, and to backends."""

import ssl
import threading
from contextlib import suppress

import pytest

from tests.conformance.backends import Conversation
from tests.conformance.client import PATIENCE_S, Client, ask
from tests.conformance.scripts import answer, switches
from tests.gateway import certs
from tests.services import eventually


@pytest.fixture
def secure(connect, doors):
    """Makes clients that speak TLS, and name the server if they are told how."""

    def secure(name: str | None = "plain.test", **options) -> Client:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        client = connect(address=doors.tls)
        client.sock = context.wrap_socket(client.sock, server_hostname=name, **options)
        return client

    return secure


def shown(client: Client) -> bytes:
    """The certificate that the server showed, in PEM."""
    return ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(binary_form=True)).encode()


@pytest.mark.rule("TLS")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("plain.test", "named"),
        ("any.wild.test", "named"),
        ("a.b.wild.test", "default"),
        ("other.test", "default"),
        (None, "default"),
    ],
)
def test_certificate_is_chosen_by_server_name(secure, doors, name, file):
    assert shown(secure(name)) in (doors.certificates / f"{file}.pem").read_bytes()


@pytest.mark.rule("TLS")
def test_certificate_follows_its_file(site, secure, doors):
    """Without a restart, and without a word to connections that are open."""
    client = secure("renewed.test")
    made = certs.put(doors.certificates / "renewed.pem", "renewed.test")
    assert eventually(lambda: shown(secure("renewed.test")) == made)
    made = certs.put(doors.certificates / "renewed.pem", "renewed.test")
    assert eventually(lambda: shown(secure("renewed.test")) == made)
    client.ask()
    assert client.response().status == 200


@pytest.mark.rule("TLS", "Q4")
def test_backend_is_told_of_https(site, secure):
    client = secure()
    client.ask("/", "X-Forwarded-Proto: http")
    assert client.response().status == 200
    request = site.one.got()
    assert request.one("X-Forwarded-Proto") == b"https"
    assert request.one("X-Forwarded-Port") == b"443"
    assert request.one("X-Forwarded-For") == b"127.0.0.1"


@pytest.mark.rule("TLS", "F7")
def test_cookie_of_stickiness_is_secure(site, secure):
    client = secure()
    client.ask(host="sticky.test")
    cookie = client.response().one("Set-Cookie")
    assert cookie is not None
    assert b"secure" in cookie.lower()


@pytest.mark.rule("TLS", "R7")
def test_location_comes_back_to_https(site, secure):
    site.one.script = site.one.answers(
        answer(b"Location: http://inner.test/x", status=b"302 Found")
    )
    client = secure()
    client.ask(host="fixed-host.test")
    assert client.response().one("Location") == b"https://fixed-host.test/x"


@pytest.mark.rule("TLS")
def test_http_1_1_is_agreed_on(secure):
    assert secure().sock.selected_alpn_protocol() == "http/1.1"


@pytest.mark.rule("TLS")
def test_plain_http_is_refused(site, connect, doors):
    client = connect(address=doors.tls)
    client.ask()
    with suppress(EOFError, ConnectionError, ValueError):
        assert client.response().status == 400
    assert site.one.connections == 0


@pytest.mark.rule("TLS")
def test_handshake_that_breaks_off_stops_nothing_else(site, connect, doors, secure):
    connect(address=doors.tls).send(b"\x16\x03\x01\x02\x00\x01\x00")
    connect(address=doors.tls).reset()
    connect(address=doors.tls).sock.close()
    client = secure()
    client.ask()
    assert client.response().status == 200


@pytest.mark.rule("TLS", "keep-alive")
def test_pipelined_requests_are_answered_in_order(site, secure):
    client = secure()
    client.send(b"".join(ask(f"/{n}") for n in range(20)))
    assert {client.response().status for _ in range(20)} == {200}
    assert [site.one.got().target for _ in range(20)] == [b"/%d" % n for n in range(20)]


@pytest.mark.rule("TLS", "Q8")
def test_large_bodies_pass_both_ways(site, secure):
    size = 5_000_000

    def script(plane: Conversation) -> None:
        plane.head()
        body = plane.exactly(size)
        plane.send(answer(body=body))

    site.one.script = script
    client = secure()
    body = bytes(range(250)) * (size // 250)
    client.ask(method="PUT", body=body)
    response = client.response()
    assert (response.status, response.body == body) == (200, True)


@pytest.mark.rule("TLS", "Q9")
def test_websocket_is_tunnelled(site, secure):
    def script(plane: Conversation) -> None:
        switches(plane)
        plane.send(plane.exactly(1_000_000))

    site.one.script = script
    client = secure()
    client.ask("/", "Connection: upgrade", "Upgrade: websocket")
    assert client.head().status == 101
    client.send(b"a" * 1_000_000)  # the backend takes it all before it answers
    assert client.exactly(1_000_000) == b"a" * 1_000_000
    assert client.ended()


@pytest.mark.rule("TLS", "R3")
def test_body_cut_short_is_cut_for_http_1_0(site, secure):
    """The end of TLS would look like that of the body."""
    site.one.script = site.one.closes_after(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"
    )
    client = secure(suppress_ragged_eofs=False)
    client.ask(version="1.0")
    assert client.head().status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        client.rest()


@pytest.mark.rule("TLS", "R3")
def test_body_until_close_is_whole(site, secure):
    site.one.script = site.one.closes_after(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    client = secure(suppress_ragged_eofs=False)
    client.ask(version="1.0")
    assert client.head().status == 200
    assert client.rest() == b"all of it"


@pytest.mark.rule("TLS", "F5")
def test_client_that_leaves_cancels_at_once(site, secure):
    began, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        began.set()
        if plane.closed():
            left.set()

    site.one.script = script
    client = secure()
    client.ask()
    assert began.wait(PATIENCE_S)
    client.sock.close()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("TLS", "F1")
@pytest.mark.parametrize(
    ("host", "status", "asked"),
    [
        ("named.test", 200, "backend.test"),
        ("misnamed.test", 502, "other.test"),
        ("secure.test", 200, None),
    ],
)
def test_backend_is_held_to_its_server_name(site, get, host, status, asked):
    """An address is no server name (RFC 6066 §3), but the certificate has to have it."""
    site.asked_names.clear()
    assert get(host=host).status == status
    assert set(site.asked_names) == {asked}
