import asyncio
import errno
import ipaddress
import logging
import random
import re
import socket
import ssl
from contextlib import asynccontextmanager

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from pools.conf import Conf
from pools.core.engine import Engine
from pools.core.headers import HeaderRules
from pools.gateway import proxy_protocol
from pools.gateway.certificates import Certificates
from pools.gateway.counters import Counters
from pools.gateway.gateway import Gateway
from pools.gateway.proxy_protocol import V1_MOST_BYTES, V2_MOST_BYTES, Header, Listener, parse
from tests.gateway import certs

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n"


def v2(addresses, *, command=0x21, family=0x11, tlvs=b""):
    data = addresses + tlvs
    return SIGNATURE + bytes((command, family)) + len(data).to_bytes(2) + data


def tcp(source, destination="192.0.2.1", **rest):
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    family = 0x11 if source.version == 4 else 0x21
    return v2(source.packed + destination.packed + bytes(4), family=family, **rest)


V2 = tcp("203.0.113.9", tlvs=b"\x03\x00\x04abcd")

# --- parsing -----------------------------------------------------------------------------

GOOD = {
    V1: "203.0.113.9",
    b"PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n": "255.255.255.255",
    b"PROXY TCP6 2001:DB8::9 ::1 40000 443\r\n": "2001:db8::9",
    b"PROXY TCP6 ::ffff:203.0.113.9 ::1 40000 443\r\n": "203.0.113.9",
    b"PROXY TCP6 %b %b 65535 65535\r\n" % (b"ffff:" * 7 + b"ffff", b"ffff:" * 7 + b"ffff"): (
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    ),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff::1 whatever it says\r\n": None,
    b"PROXY UNKNOWN".ljust(V1_MOST_BYTES - 2) + b"\r\n": None,
    tcp("203.0.113.9"): "203.0.113.9",
    tcp("2001:db8::9", "::1"): "2001:db8::9",
    tcp("::ffff:203.0.113.9", "::1"): "203.0.113.9",
    V2: "203.0.113.9",
    tcp("203.0.113.9", tlvs=bytes(V2_MOST_BYTES - 28)): "203.0.113.9",
    v2(b"", command=0x20, family=0): None,
    tcp("203.0.113.9", command=0x20): None,
    v2(b"", family=0): None,
    v2(bytes(12), family=0x12): None,
    v2(bytes(216), family=0x31): None,
}


@pytest.mark.parametrize(("data", "source"), GOOD.items())
@pytest.mark.parametrize("behind", [b"", b"GET / HTTP/1.1\r\n", V1, b"\x16\x03\x01"])
def test_a_whole_header_tells_the_client_and_its_own_length(data, source, behind):
    assert parse(data + behind) == Header(len(data), source)


@pytest.mark.parametrize("data", GOOD)
def test_more_is_needed_until_the_header_is_whole(data):
    assert {parse(data[:end]) for end in range(len(data))} == {None}


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"proxy TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY  TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4  203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443 \r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443 \n\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 040000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 -1 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 65536 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 65536\r\n",
        b"PROXY TCP4 203.0.113.09 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.256 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2 40000 443\r\n",
        b"PROXY TCP4 ::1 ::1 40000 443\r\n",
        b"PROXY TCP6 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 40000 443\r\n",
        b"PROXY TCP6 1::2::3 ::1 40000 443\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY \r\n",
        b"PROXY UNKNOWN".ljust(V1_MOST_BYTES - 1) + b"\r\n",
        b"PROXY ".ljust(V1_MOST_BYTES, b"x"),
        SIGNATURE[:-1] + b"\r",
        tcp("203.0.113.9", command=0x11),
        tcp("203.0.113.9", command=0x22),
        v2(bytes(12), family=0x13),
        v2(bytes(12), family=0x41),
        v2(bytes(11)),
        v2(bytes(35), family=0x21),
        tcp("203.0.113.9", tlvs=bytes(V2_MOST_BYTES - 27)),
        (SIGNATURE + b"\x21\x11\xff\xff"),
    ],
)
def test_what_is_malformed_is_refused(data):
    with pytest.raises(ValueError, match="header"):
        parse(data)


ADDRESSES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
PORTS = st.integers(0, 65_535)


@given(ADDRESSES, PORTS, PORTS, st.binary(max_size=50), st.binary(max_size=200))
def test_both_versions_tell_the_same_of_any_addresses(addresses, one, other, behind, tlvs):
    source, destination = addresses
    line = f"PROXY TCP{source.version} {source} {destination} {one} {other}\r\n".encode()
    binary = tcp(str(source), str(destination), tlvs=tlvs)
    told = str(getattr(source, "ipv4_mapped", None) or source)
    assert parse(line + behind) == Header(len(line), told)
    assert parse(binary + behind) == Header(len(binary), told)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=40).map(SIGNATURE.__add__)))
@example(b"PROXY TCP4 \xff \xff 1 1\r\n")
def test_bytes_of_any_kind_give_a_header_within_them_or_more_or_an_error(data):
    try:
        header = parse(data)
    except ValueError:
        return
    if header is None:
        assert len(data) < V2_MOST_BYTES
    else:
        assert 0 < header.length <= len(data)
        assert parse(data[: header.length]) == header


# --- listening ---------------------------------------------------------------------------


class Answering(asyncio.Protocol):
    """Says how it was made, then repeats what it gets."""

    def __init__(self, scheme, peer):
        self.told = f"{scheme} {peer}\n".encode()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.told)

    def data_received(self, data):
        self.transport.write(data)


class Answers(Gateway):
    def protocol(self, *, scheme="http", peer=None):
        return Answering(scheme, peer)


@asynccontextmanager
async def listening(
    *, trusted=("127.0.0.0/8",), kind=Answers, scheme="http", context=None, sock=None, **conf
):
    loop = asyncio.get_running_loop()
    rules = HeaderRules(
        trusted=[ipaddress.ip_network(network) for network in trusted], make_id=lambda: b"id"
    )
    gateway = kind(
        Engine(clock=loop.time, random=random.Random(1)),
        rules=rules,
        conf=Conf(**conf),
        loop=loop,
        counters=Counters(),
        access_log=None,
        loaded=lambda: True,
    )
    sock = sock or socket.create_server(("127.0.0.1", 0))
    listener = Listener(loop, sock, gateway, rules.trusts, scheme, context)
    listener.gateway = gateway
    listener.address = sock.getsockname()
    try:
        yield listener
    finally:
        listener.close()
        await gateway.close()


@asynccontextmanager
async def connected(listener, **options):
    host, port = listener.address
    reader, writer = await asyncio.open_connection(host, port, **options)
    try:
        yield reader, writer
    finally:
        writer.close()


def run(coroutine):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(coroutine, 10))


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("pieces", ["at once", "apart", "byte by byte"])
def test_a_trusted_peers_header_names_the_client_and_all_behind_it_arrives(header, pieces):
    async def ask():
        async with listening() as listener, connected(listener) as (reader, writer):
            sent = {
                "at once": [header + b"hello"],
                "apart": [header[:20], header[20:], b"hello"],
                "byte by byte": [bytes((code,)) for code in header + b"hello"],
            }[pieces]
            for piece in sent:
                writer.write(piece)
                await asyncio.sleep(0)
            assert await reader.readline() == b"http 203.0.113.9\n"
            assert await reader.readexactly(5) == b"hello"

    run(ask())


@pytest.mark.parametrize("header", [V1, V2])
def test_tls_begins_right_behind_the_header(tmp_path, header):
    certs.put(tmp_path / "a.pem", "a.example")

    async def ask():
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=tmp_path / "a.pem")
        tls = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        certificates = Certificates(tmp_path)
        async with (
            listening(scheme="https", context=certificates.context) as listener,
            connected(listener) as (reader, writer),
        ):
            writer.write(header + outgoing.read())  # in one piece
            while True:
                incoming.write(await reader.read(65_536))
                try:
                    return tls.read()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())

    assert run(ask()) == b"https 203.0.113.9\n"


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", v2(b"", command=0x20, family=0), v2(bytes(216), family=0x31)],
)
def test_a_header_that_does_not_tell_leaves_the_peer(header):
    async def ask():
        async with listening() as listener, connected(listener) as (reader, writer):
            writer.write(header)
            return await reader.readline()

    assert run(ask()) == b"http None\n"


def test_a_unix_sockets_peer_is_trusted(tmp_path):
    path = str(tmp_path / "listener")

    async def ask():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
            sock.listen()
            async with listening(trusted=(), sock=sock):
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(V1)
                told = await reader.readline()
                writer.close()
                return told

    assert run(ask()) == b"http 203.0.113.9\n"


def test_others_than_trusted_peers_are_served_without_a_header():
    async def ask():
        async with listening(trusted=()) as listener, connected(listener) as (reader, _):
            return await reader.readline()  # before anything was sent

    assert run(ask()) == b"http None\n"


@pytest.mark.parametrize("header", [V1, V2])
def test_a_header_of_others_is_a_malformed_request(header):
    async def ask():
        async with (
            listening(trusted=(), kind=Gateway) as listener,
            connected(listener) as (reader, writer),
        ):
            writer.write(header + b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            return await reader.read()

    assert run(ask()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "there is no PROXY header"),
        (b"\x16\x03\x01", "there is no PROXY header"),
        (b"PROXY TCP4 nonsense\r\n", "the header is malformed"),
        (b"PROXY TCP4 1.2.3.4.5 1.2.3.4 1 1\r\n", "the header has an address that is none"),
        (V1[:30], "the header is late"),
        (b"", "the header is late"),
    ],
)
def test_a_trusted_peer_without_a_header_in_time_is_closed_and_said(sent, said, caplog):
    async def ask():
        async with (
            listening(client_header_timeout_s=0.1) as listener,
            connected(listener) as (reader, writer),
        ):
            writer.write(sent)
            try:
                told = await reader.read()
            except ConnectionResetError:
                told = b""  # closed with what was sent unread
            return told, listener.gateway.counters.refused

    assert run(ask()) == (b"", 1)
    assert caplog.messages == [
        f"127.0.0.1: connection closed, {said}: have this peer send the PROXY protocol, or"
        " take it out of the trusted proxies"
    ]


@pytest.mark.parametrize(("sent", "said"), [(b"", []), (V1[:30], ["cut short"])])
def test_a_peer_that_leaves_without_a_word_is_nothing_to_say(sent, said, caplog):
    async def ask():
        async with listening() as listener:
            async with connected(listener) as (_, writer):
                writer.write(sent)
                await within(lambda: listener._in_header)
            await within(lambda: not listener._in_header)

    run(ask())
    assert re.findall("cut short", caplog.text) == said
    assert len(caplog.messages) == len(said)


def test_a_peer_that_resets_in_its_header_is_nothing_to_say(caplog):
    async def ask():
        async with listening() as listener:
            with socket.create_connection(listener.address) as sock:
                sock.send(V1[:10])
                await within(lambda: listener._in_header)
                linger = b"\1\0\0\0\0\0\0\0"
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            await within(lambda: not listener._in_header)

    run(ask())
    assert caplog.messages == []


async def within(condition):
    while not condition():  # run() has the deadline
        await asyncio.sleep(0.005)


def test_connections_in_their_header_are_bounded_and_the_next_waits(monkeypatch):
    monkeypatch.setattr(proxy_protocol, "MOST_IN_HEADER", 2)

    async def ask():
        async with listening() as listener:
            silent = [socket.create_connection(listener.address) for _ in range(2)]
            await within(lambda: len(listener._in_header) == 2)
            async with connected(listener) as (reader, writer):
                writer.write(V1)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.readline(), 0.1)
                silent[0].close()
                assert await reader.readline() == b"http 203.0.113.9\n"
            silent[1].close()

    run(ask())


def test_more_connections_than_are_accepted_at_once_are_served(monkeypatch):
    monkeypatch.setattr(proxy_protocol, "ACCEPTED_AT_ONCE", 3)

    async def ask():
        async with listening() as listener:
            clients = [socket.create_connection(listener.address) for _ in range(20)]
            for client in clients:
                client.send(V1)
                client.setblocking(False)
            loop = asyncio.get_running_loop()
            told = [await loop.sock_recv(client, 100) for client in clients]
            for client in clients:
                client.close()
            return set(told)

    assert run(ask()) == {b"http 203.0.113.9\n"}


class Failing(socket.socket):
    """A listening socket whose first accepts fail."""

    errors = ()

    def accept(self):
        if self.errors:
            error, *self.errors = self.errors
            raise error
        return super().accept()


def test_errors_of_accepting_are_survived_and_said_once(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "pools.gateway")
    monkeypatch.setattr(proxy_protocol, "PAUSE_S", 0.01)

    async def ask():
        with Failing() as sock:
            sock.errors = [
                ConnectionAbortedError(),
                OSError(errno.EMFILE, "Too many open files"),
                OSError(errno.ENFILE, "Too many open files in system"),
            ]
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            async with (
                listening(sock=sock) as listener,
                connected(listener) as (reader, writer),
            ):
                writer.write(V1)
                return await reader.readline()

    assert run(ask()) == b"http 203.0.113.9\n"
    assert caplog.messages == [
        "connections wait to be accepted: [Errno 24] Too many open files",
        "connections are accepted again",
    ]


def test_a_client_that_fails_its_handshake_costs_nobody_else(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "pools.gateway")
    certs.put(tmp_path / "a.pem", "a.example")
    context = ssl.create_default_context(cafile=tmp_path / "a.pem")

    async def ask():
        certificates = Certificates(tmp_path)
        async with listening(trusted=(), context=certificates.context) as listener:
            async with connected(listener) as (reader, writer):
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                await reader.read()
                await within(lambda: not listener._serving)
            options = {"ssl": context, "server_hostname": "a.example"}
            async with connected(listener, **options) as (reader, _):
                return await reader.readline()

    assert run(ask()) == b"http None\n"
    assert caplog.messages == []


def test_closing_ends_connections_in_their_header_and_takes_no_more():
    async def ask():
        async with listening() as listener, connected(listener) as (reader, _):
            await within(lambda: listener._in_header)
            listener.close()
            assert await reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*listener.address)

    run(ask())
