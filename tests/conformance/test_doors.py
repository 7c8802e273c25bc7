"""Unix sockets and IPv6, on both sides, and the PROXY protocol."""

import socket
import struct

import pytest

from tests.conformance.client import ask
from tests.conformance.site import TRUSTED
from tests.services import needs_ipv6

V2 = b"\r\n\r\n\0\r\nQUIT\n"
V4_PAIR = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1")
V6_PAIR = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16)
PORTS = struct.pack("!HH", 1234, 80)


def version_2(command: int, family: int, rest: bytes) -> bytes:
    return V2 + bytes([0x20 | command, family]) + struct.pack("!H", len(rest)) + rest


TOLD = {
    "v1-tcp4": (b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 80\r\n", b"203.0.113.7"),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 80\r\n", b"2001:db8::7"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", TRUSTED.encode()),
    "v1-unknown-more": (b"PROXY UNKNOWN ::1 ::1 1 2\r\n", TRUSTED.encode()),
    "v2-tcp4": (version_2(1, 0x11, V4_PAIR + PORTS), b"203.0.113.7"),
    "v2-tcp6": (version_2(1, 0x21, V6_PAIR + PORTS), b"2001:db8::7"),
    "v2-extended": (version_2(1, 0x11, V4_PAIR + PORTS + b"\x04\0\x02hi"), b"203.0.113.7"),
    "v2-local": (version_2(0, 0x00, b""), TRUSTED.encode()),
    "v2-unix": (version_2(1, 0x31, bytes(216)), TRUSTED.encode()),
}

MALFORMED = {
    "none": b"",
    "v1-protocol": b"PROXY TCP5 203.0.113.7 10.0.0.1 1234 80\r\n",
    "v1-address": b"PROXY TCP4 203.0.113.777 10.0.0.1 1234 80\r\n",
    "v1-port": b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 99999\r\n",
    "v1-lf": b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 80\n",
    "v1-long": b"PROXY UNKNOWN " + b"a" * 200 + b"\r\n",
    "v1-lower-case": b"proxy TCP4 203.0.113.7 10.0.0.1 1234 80\r\n",
    "v2-version": V2 + b"\x31\x11\0\x0c" + V4_PAIR + PORTS,
    "v2-command": version_2(2, 0x11, V4_PAIR + PORTS),
    "v2-short": version_2(1, 0x11, V4_PAIR),
}


@pytest.mark.rule("PROXY")
@pytest.mark.parametrize("case", TOLD)
@pytest.mark.parametrize("pieces", [False, True])
def test_trusted_peer_tells_who_asks(site, connect, told, case, pieces):
    header, client_address = TOLD[case]
    client = connect(TRUSTED, told)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    whole = header + ask()
    for at in range(0, len(whole), 7 if pieces else len(whole)):
        client.send(whole[at : at + (7 if pieces else len(whole))])
    assert client.response().status == 200
    assert site.one.got().one("X-Forwarded-For") == client_address


@pytest.mark.rule("PROXY")
@pytest.mark.parametrize("case", MALFORMED)
def test_trusted_peer_that_does_not_tell_is_not_served(site, connect, told, case):
    """With a request that is whole behind it: nobody may be taken for the proxy itself."""
    client = connect(TRUSTED, told)
    client.send(MALFORMED[case] + ask())
    assert client.ended() or client.response().status == 400
    assert site.one.connections == 0


@pytest.mark.rule("PROXY")
@pytest.mark.parametrize("case", TOLD)
def test_header_of_a_stranger_is_400(site, connect, told, case):
    client = connect(address=told)
    client.send(TOLD[case][0] + ask())
    assert client.response().status == 400
    assert site.one.connections == 0


@pytest.mark.rule("PROXY")
def test_stranger_is_served_without(site, connect, told):
    client = connect(address=told)
    client.ask()
    assert client.response().status == 200
    assert site.one.got().one("X-Forwarded-For") == b"127.0.0.1"


@pytest.mark.rule("PROXY", "Q4")
def test_client_that_is_told_of_is_not_believed_more(site, connect, told):
    """It is the client that counts, and not the proxy that is trusted."""
    client = connect(TRUSTED, told)
    client.send(TOLD["v1-tcp4"][0] + ask("/", "X-Forwarded-For: 1.2.3.4") + ask("/2"))
    assert client.response().status == 200
    assert client.response().status == 200
    assert [site.one.got().one("X-Forwarded-For") for _ in range(2)] == [b"203.0.113.7"] * 2


@pytest.mark.rule("PROXY")
def test_header_where_none_is_awaited_is_400(site, connect):
    client = connect(TRUSTED)
    client.send(TOLD["v1-tcp4"][0] + ask())
    assert client.response().status == 400
    assert site.one.connections == 0


@pytest.mark.rule("sockets", "Q4")
def test_client_by_unix_socket_is_trusted(site, connect, doors):
    client = connect(address=doors.unix)
    for _ in range(2):
        client.ask("/", "X-Forwarded-For: 1.2.3.4")
        assert client.response().status == 200
        assert (site.one.got().one("X-Forwarded-For") or b"").startswith(b"1.2.3.4")


@needs_ipv6
@pytest.mark.rule("sockets")
def test_client_by_ipv6(site, connect, doors):
    client = connect(address=doors.ipv6)
    client.ask(host="[::1]:80")
    assert client.response().status == 404
    client.ask()
    assert client.response().status == 200
    assert site.one.got().one("X-Forwarded-For") == b"::1"


@pytest.mark.rule("sockets")
@pytest.mark.parametrize("name", ["unix", pytest.param("ipv6", marks=needs_ipv6)])
def test_backend_by(site, connect, name):
    client = connect()
    for _ in range(3):
        client.ask(host=f"{name}.test", method="POST", body=b"hello")
        assert client.response().body == b"ok"
    backend = site.unix if name == "unix" else site.ipv6
    assert backend.got().one("Host") == f"{name}.test".encode()
    assert backend.connections == 1
