"""Clients that speak TLS, and what those cost that do not go on with it."""

import signal
import socket
import ssl
from contextlib import ExitStack, suppress

import pytest

from tests.conformance.backends import Backend
from tests.gateway import certs, process
from tests.services import eventually

MOST = 3
NAME = b"site.test"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    certs.put(folder / "site.pem", NAME.decode())
    return folder


@pytest.fixture
def start(certificates, tmp_path):
    backend = Backend()
    process.publish(tmp_path, process.document(backend.port))
    with ExitStack() as started:
        started.callback(backend.close)

        def start(*arguments, **variables):
            tls = ("--tls-bind", "127.0.0.1:0", "--certificates", str(certificates))
            variables["CLIENT_HEADER_TIMEOUT"] = "120"  # no test is to wait for it
            gateway = process.Running(
                tmp_path, tmp_path / "log", *tls, *arguments, bind="", **variables
            )
            started.callback(gateway.close)
            gateway.ready()
            return gateway

        yield start


@pytest.fixture
def connect():
    """Makes connections from an address, on which nothing is said yet."""
    with ExitStack() as made:

        def connect(gateway, source="127.0.0.1", first=b""):
            sock = socket.create_connection(gateway.address, process.PATIENCE_S, (source, 0))
            made.callback(sock.close)
            sock.sendall(first)
            return sock

        yield connect


def hello(name):
    """What a client begins with that asks for this name, of any bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    placeholder = b"a" * len(name)
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname=placeholder.decode())
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read().replace(placeholder, name)


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def served(sock):
    """Whether a client on this connection is answered; it may be closed before."""
    try:
        with client_context().wrap_socket(sock, server_hostname=NAME.decode()) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % NAME)
            return tls.recv(12) == b"HTTP/1.1 200"
    except (ssl.SSLError, OSError):
        return False


def ended(sock):
    """Waits for the other end to close, or to reset."""
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_a_name_that_is_none_is_not_worth_a_line(start, connect):
    gateway = start()
    before = gateway.output
    refused = connect(gateway, first=hello(b"b\xc3\xbccher.test"))
    while refused.recv(4096):  # an alert, maybe
        pass
    assert served(connect(gateway))
    assert gateway.output == before


@pytest.mark.parametrize("told", [False, True])
def test_who_shakes_hands_counts_as_a_connection_of_its_address(start, connect, told):
    arguments = ["--proxy-protocol"] if told else []
    trusted = "127.0.0.9" if told else ""
    gateway = start(*arguments, MAX_CONNECTIONS_PER_CLIENT=str(MOST), TRUSTED_PROXIES=trusted)
    source = trusted or "127.0.0.1"
    first = b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\r\n" if told else b""
    silent = [connect(gateway, source, first) for _ in range(MOST)]
    assert ended(connect(gateway, source, first))
    other = b"PROXY TCP4 203.0.113.8 127.0.0.1 4000 80\r\n" if told else b""
    assert served(connect(gateway, source if told else "127.0.0.2", other))
    silent[0].close()
    eventually(lambda: served(connect(gateway, source, first)))


def test_clients_one_after_another_leave_nothing_that_is_counted(start, connect):
    gateway = start(MAX_CONNECTIONS_PER_CLIENT="1", MAX_CONNECTIONS="1")
    for _ in range(5):
        connect(gateway, first=b"GET / HTTP/1.1\r\n\r\n").close()
        eventually(lambda: served(connect(gateway)))


def test_who_shakes_hands_for_longest_makes_room(start, connect):
    gateway = start(MAX_CONNECTIONS=str(MOST))
    silent = [connect(gateway) for _ in range(MOST)]
    assert served(connect(gateway))
    assert ended(silent[0])
    silent[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        silent[1].recv(1)


@pytest.fixture
def idle():
    """Makes clients that were answered, and from then on look at nothing."""
    with ExitStack() as made:

        def idle(sock):
            tls = client_context().wrap_socket(sock, server_hostname=NAME.decode())
            made.callback(tls.close)
            tls.sendall(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % NAME)
            return tls.recv(12) == b"HTTP/1.1 200"

        yield idle


def test_idle_clients_that_do_not_say_their_end_hold_up_no_drain(start, connect, idle):
    gateway = start(DRAIN_TIMEOUT="120")
    assert idle(connect(gateway))
    gateway.signal(signal.SIGTERM)
    assert gateway.ended(within_s=15) == 0


def test_idle_clients_that_do_not_say_their_end_make_room(start, connect, idle):
    def another():
        with suppress(OSError):  # one that is closed is so a moment later
            return idle(connect(gateway))

    gateway = start(MAX_CONNECTIONS=str(MOST))
    for _ in range(3 * MOST):
        eventually(another)
