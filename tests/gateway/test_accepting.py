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

from pools.conf import Conf
from pools.core.counters import Counters
from pools.core.engine import Engine
from pools.core.headers import HeaderRules
from pools.gateway import accepting
from pools.gateway import gateway as gateway_module
from pools.gateway.accepting import Listener
from pools.gateway.certificates import Certificates
from pools.gateway.gateway import Gateway
from tests.gateway import certs
from tests.gateway.test_proxy_protocol import V1, V2, v2


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
    monkeypatch.setattr(accepting, "MOST_IN_HEADER", 2)

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
    monkeypatch.setattr(accepting, "ACCEPTED_AT_ONCE", 3)

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
    monkeypatch.setattr(accepting, "PAUSE_S", 0.01)

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


def test_closing_takes_no_more_and_leaves_those_in_their_header():
    async def ask():
        async with listening() as listener, connected(listener) as (reader, writer):
            await within(lambda: listener._in_header)
            listener.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*listener.address)
            writer.write(V1)
            return await reader.readline()

    assert run(ask()) == b"http 203.0.113.9\n"


# --- how many, and how they end ------------------------------------------------------------

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
SETTINGS = {"kind": Gateway, "client_header_timeout_s": 60}


@pytest.fixture
def tls(tmp_path):
    """The server's context and the client's."""
    certs.put(tmp_path / "a.pem", "a.example")
    client = ssl.create_default_context(cafile=tmp_path / "a.pem")
    return Certificates(tmp_path).context, client


async def shake_hands(writer, context):
    await writer.start_tls(context, server_hostname="a.example")


async def answered(reader, writer):
    """The head of an answer, without its body: there is no route."""
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
    await reader.readexactly(length)
    assert head.startswith(b"HTTP/1.1 404 ")
    return head.lower()


def test_handshakes_under_way_count_and_one_too_many_of_a_client_is_closed(tls):
    server, client = tls
    most = {"max_connections_per_client": 1}

    async def ask():
        async with (
            listening(trusted=(), context=server, **SETTINGS, **most) as listener,
            connected(listener) as (reader, writer),
        ):
            gateway = listener.gateway
            await within(lambda: gateway.connections == 1)
            async with connected(listener) as (other, _):
                assert await other.read() == b""
            assert (gateway.connections, gateway.counters.refused) == (1, 1)
            await shake_hands(writer, client)
            await answered(reader, writer)
            assert gateway.connections == 1
            writer.close()
            await within(lambda: not gateway.connections)

    run(ask())


@pytest.mark.parametrize("slow", [False, True])
def test_of_an_idle_client_and_a_handshake_the_slow_one_goes_first(tls, monkeypatch, slow):
    server, client = tls
    if slow:
        monkeypatch.setattr(gateway_module, "SLOW_ARRIVAL_S", 0.0)

    async def ask():
        async with (
            listening(trusted=(), context=server, **SETTINGS, max_connections=2) as listener,
            connected(listener) as (first, first_writer),
        ):
            await shake_hands(first_writer, client)
            await answered(first, first_writer)
            async with connected(listener) as (arriving, _):
                await within(lambda: listener.gateway.connections == 2)
                async with connected(listener) as (reader, writer):
                    assert await (arriving if slow else first).read() == b""
                    await shake_hands(writer, client)
                    await answered(reader, writer)
                    if slow:
                        await answered(first, first_writer)

    run(ask())


def test_an_idle_client_makes_room_for_a_handshake(tls):
    server, client = tls

    async def ask():
        async with (
            listening(trusted=(), context=server, **SETTINGS, max_connections=1) as listener,
            connected(listener) as (first, first_writer),
        ):
            await shake_hands(first_writer, client)
            await answered(first, first_writer)
            async with connected(listener) as (reader, writer):
                assert await first.read() == b""
                await shake_hands(writer, client)
                await answered(reader, writer)

    run(ask())


def test_a_handshake_that_fails_is_not_counted_any_more(tls):
    async def ask():
        async with (
            listening(trusted=(), context=tls[0], **SETTINGS) as listener,
            connected(listener) as (reader, writer),
        ):
            await within(lambda: listener.gateway.connections == 1)
            writer.write(GET)
            await reader.read()
            await within(lambda: not listener.gateway.connections)
            assert listener.gateway.drained

    run(ask())


def test_who_connected_before_a_drain_is_served_and_told_that_it_is_the_last(tls):
    """Nothing said yet, in its PROXY header, in its handshake."""
    server, client = tls

    async def ask():
        async with (
            listening(trusted=(), **SETTINGS) as plain,
            listening(**SETTINGS) as told,
            listening(trusted=(), context=server, **SETTINGS) as secret,
            connected(plain) as (silent, silent_writer),
            connected(told) as (header, header_writer),
            connected(secret) as (handshake, handshake_writer),
        ):
            for listener in plain, told, secret:
                await within(lambda listener=listener: listener.gateway.connections == 1)
                listener.close()
                listener.gateway.drain()
                listener.gateway.start()
            assert b"connection: close" in await answered(silent, silent_writer)
            header_writer.write(V1)
            assert b"connection: close" in await answered(header, header_writer)
            await shake_hands(handshake_writer, client)
            assert b"connection: close" in await answered(handshake, handshake_writer)
            for listener in plain, told, secret:
                await within(lambda listener=listener: listener.gateway.drained)

    run(ask())


@pytest.mark.parametrize("stage", ["silent", "header", "handshake"])
def test_who_says_nothing_does_not_hold_a_drain_for_long(tls, monkeypatch, stage):
    monkeypatch.setattr("pools.gateway.gateway.UNASKED_S", 0.1)
    trusted = ("127.0.0.0/8",) if stage == "header" else ()
    context = tls[0] if stage == "handshake" else None

    async def ask():
        async with (
            listening(trusted=trusted, context=context, **SETTINGS) as listener,
            connected(listener) as (reader, _),
        ):
            gateway = listener.gateway
            gateway.start()
            await within(lambda: gateway.connections == 1)
            listener.close()
            gateway.drain()
            assert not gateway.drained
            assert await reader.read() == b""
            await within(lambda: gateway.drained)

    run(ask())


@pytest.mark.parametrize("stage", ["header", "handshake"])
def test_a_drains_grace_ends_those_in_their_header_or_handshake(tls, stage):
    trusted = ("127.0.0.0/8",) if stage == "header" else ()
    context = tls[0] if stage == "handshake" else None

    async def ask():
        async with (
            listening(trusted=trusted, context=context, **SETTINGS) as listener,
            connected(listener) as (reader, _),
        ):
            await within(lambda: listener.gateway.connections == 1)
            listener.gateway.cut_exchanges()
            assert await reader.read() == b""
            await within(lambda: listener.gateway.drained)

    run(ask())


def test_drained_at_once_is_who_was_served_and_is_idle():
    async def ask():
        async with (
            listening(trusted=(), **SETTINGS) as listener,
            connected(listener) as (reader, writer),
            connected(listener) as (new, _),
        ):
            await answered(reader, writer)
            await within(lambda: listener.gateway.connections == 2)
            listener.gateway.drain()
            assert await reader.read() == b""
            assert listener.gateway.connections == 1
            assert not new.at_eof()

    run(ask())
