import socket
import time
from dataclasses import replace

import pytest

from pools.core.document import Tls
from pools.core.retry import FailureKind
from pools.wsgi import connection, tls
from pools.wsgi.connection import Connection, Watch, connect
from pools.wsgi.errors import ClientGone, UpstreamError
from tests.core.build import pool, snapshot


def watch(*, idle_s=10.0, deadline=None, client=None):
    return Watch(idle_s=idle_s, deadline=deadline, client=client)


def target(host, port):
    made = snapshot(pool([{"host": host, "port": port}])).pools["web"]
    return made.backends[0], made


def test_all_addresses_of_a_name_are_tried(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_, **__: found)
        connect(*target("two.test", port), timeout_s=5, watch=watch()).close()


def test_ipv6():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        connect(*target("::1", listener.getsockname()[1]), timeout_s=5, watch=watch()).close()


@pytest.mark.parametrize(
    "error", [socket.gaierror("unknown"), UnicodeError("label too long"), TimeoutError()]
)
def test_name_that_does_not_resolve_is_a_connect_failure(monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(connection.socket, "getaddrinfo", fails)
    with pytest.raises(UpstreamError) as caught:
        connect(*target("nowhere.test", 80), timeout_s=5, watch=watch())
    assert caught.value.kind is FailureKind.CONNECT


def test_no_address_is_a_connect_failure(monkeypatch):
    monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(UpstreamError, match="no address"):
        connect(*target("nowhere.test", 80), timeout_s=5, watch=watch())


def test_addresses_share_the_time_out(monkeypatch):
    """None is tried once the time is over."""
    monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_, **__: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))
    ])  # fmt: skip
    with pytest.raises(UpstreamError, match="timed out"):
        connect(*target("a.test", 9), timeout_s=-1, watch=watch())


def test_deadline_of_the_exchange_bounds_all():
    past = time.monotonic() - 1
    with pytest.raises(UpstreamError) as caught:
        connect(*target("127.0.0.1", 9), timeout_s=5, watch=watch(deadline=past))
    assert caught.value.kind is FailureKind.TIMEOUT


def test_wait_ends_when_the_client_leaves():
    ours, theirs = socket.socketpair()
    client, browser = socket.socketpair()
    with ours, theirs, client:
        browser.close()
        made = Connection(ours)
        made.begin(b"GET", watch(client=client.fileno()), reused=False)
        with pytest.raises(ClientGone):
            made.read_body()


def test_client_that_sends_its_next_request_has_not_left():
    ours, theirs = socket.socketpair()
    client, browser = socket.socketpair()
    with ours, theirs, client, browser:
        browser.send(b"GET /next HTTP/1.1\r\n")
        made = Connection(ours)
        made.begin(b"GET", watch(idle_s=0.01, client=client.fileno()), reused=False)
        with pytest.raises(UpstreamError) as caught:
            made.read_body()
        assert caught.value.kind is FailureKind.TIMEOUT


def test_answer_stops_the_sending():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Connection(ours)
        made.begin(b"POST", watch(), reused=False)
        theirs.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        assert not made.send(bytes(10_000_000))
        assert made.read_head(lambda head: None).status == 403


def test_answer_before_a_reset_counts():
    ours, theirs = socket.socketpair()
    with ours:
        made = Connection(ours)
        made.begin(b"POST", watch(), reused=False)
        theirs.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        theirs.close()
        assert not made.send(b"x")
        assert made.read_head(lambda head: None).status == 403


def test_contexts_are_made_once_and_by_the_pool():
    spec = Tls(verify=False)
    assert tls.context(spec) is tls.context(replace(spec))
    assert not tls.context(spec).check_hostname
    assert tls.context(Tls()).check_hostname
