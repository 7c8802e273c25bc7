import socket
import time

import pytest

from pools.core.retry import FailureKind
from pools.wire.errors import ClientGone, OutOfTime, UpstreamError
from pools.wsgi.connection import Connection, Watch, connect
from tests.core.build import pool, snapshot
from tests.services import needs_ipv6


def watch(*, idle_s=10.0, exchange_s=0.0, deadline=None, client=None):
    return Watch(idle_s=idle_s, exchange_s=exchange_s, deadline=deadline, client=client)


def target(host, port):
    made = snapshot(pool([{"host": host, "port": port}])).pools["web"]
    return made.backends[0], made


@needs_ipv6
def test_ipv6():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        connect(*target("::1", listener.getsockname()[1]), timeout_s=5, watch=watch()).close()


def test_unix_socket(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/app.sock")
        listener.listen()
        made = connect(*target(f"unix:{tmp_path}/app.sock", 0), timeout_s=5, watch=watch())
        theirs, _ = listener.accept()
        with theirs:
            made.begin(b"GET", watch(), reused=False)
            assert made.send(b"GET / HTTP/1.1\r\n\r\n")
            theirs.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert made.read_head(lambda head: None).status == 200
        made.close()


def test_unix_socket_that_is_not_there_is_a_connect_failure(tmp_path):
    with pytest.raises(UpstreamError, match="no such file") as caught:
        connect(*target(f"unix:{tmp_path}/app.sock", 0), timeout_s=5, watch=watch())
    assert caught.value.kind is FailureKind.CONNECT


@pytest.mark.parametrize(
    "error", [socket.gaierror("unknown"), UnicodeError("label too long"), TimeoutError()]
)
def test_name_that_does_not_resolve_is_a_connect_failure(monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(UpstreamError) as caught:
        connect(*target("nowhere.test", 80), timeout_s=5, watch=watch())
    assert caught.value.kind is FailureKind.CONNECT


def test_deadline_of_the_exchange_bounds_connecting_too():
    past = time.monotonic() - 1
    with pytest.raises(UpstreamError, match="timed out") as caught:
        connect(*target("127.0.0.1", 9), timeout_s=5, watch=watch(deadline=past))
    assert caught.value.kind is FailureKind.CONNECT


def test_deadline_ends_an_answer_that_keeps_coming():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Connection(ours)
        made.begin(b"GET", watch(deadline=time.monotonic() - 1), reused=False)
        theirs.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        with pytest.raises(OutOfTime):
            made.read_body()


@pytest.mark.parametrize(
    ("exchange_s", "error"), [(0.02, UpstreamError), (60.0, OutOfTime)], ids=["most", "last"]
)
def test_deadline_is_the_backends_failure_if_it_had_most_of_the_time(exchange_s, error):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Connection(ours)
        over = watch(exchange_s=exchange_s, deadline=time.monotonic() + 0.02)
        made.begin(b"GET", over, reused=False)
        with pytest.raises(error, match="the exchange took too long"):
            made.read_body()


def test_deadline_while_the_request_is_being_sent_is_not_the_backends_failure():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Connection(ours)
        made.begin(
            b"PUT", watch(exchange_s=0.02, deadline=time.monotonic() + 0.02), reused=False
        )
        with pytest.raises(OutOfTime):
            made.send(bytes(10_000_000))


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
