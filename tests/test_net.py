"""Connections within a time; their use is shown by tests/wsgi and tests/health."""

import socket
import threading
import time
from dataclasses import replace

import pytest

from pools import net
from pools.core.document import Tls


def connect(host, port, *, within_s=5.0):
    return net.connect(host, port, until=time.monotonic() + within_s)


def resolving(monkeypatch, *addresses):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(net.socket, "getaddrinfo", lambda *_, **__: found)


def test_all_addresses_of_a_name_are_tried(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        resolving(monkeypatch, ("127.0.0.2", port), ("127.0.0.1", port))
        with connect("two.test", port) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)


def test_addresses_share_the_time(monkeypatch):
    """None is tried once it is over."""
    resolving(monkeypatch, ("127.0.0.1", 9))
    with pytest.raises(TimeoutError):
        connect("127.0.0.1", 9, within_s=-1)


def test_no_address_is_an_error_in_words(monkeypatch):
    resolving(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        connect("nowhere.test", 80)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(net.socket, "getaddrinfo", lambda *_, **__: ended.wait(30) and [])
    with pytest.raises(TimeoutError, match="resolving the name"):
        connect("slow.test", 80, within_s=0.1)
    ended.set()


def test_what_is_left_bounds_the_handshake():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with connect(*listener.getsockname()) as sock:
            timeout_s = sock.gettimeout()
        assert timeout_s is not None and 0 < timeout_s <= 5


def test_a_unix_socket_is_connected_to(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "app.sock"))
        listener.listen()
        with connect(f"unix:{tmp_path}/app.sock", 0) as sock:
            assert sock.getpeername() == f"{tmp_path}/app.sock"
            assert 0 < (sock.gettimeout() or 0) <= 5
        with pytest.raises(TimeoutError):
            connect(f"unix:{tmp_path}/app.sock", 0, within_s=-1)


def test_a_unix_socket_that_is_not_there_or_that_nobody_listens_at(tmp_path):
    with pytest.raises(FileNotFoundError):
        connect(f"unix:{tmp_path}/app.sock", 0)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "app.sock"))
    with pytest.raises(ConnectionRefusedError):
        connect(f"unix:{tmp_path}/app.sock", 0)


def test_contexts_are_made_once_for_pools_that_check_alike():
    spec = Tls(verify=False)
    assert net.tls_context(spec) is net.tls_context(replace(spec, server_name="app.test"))
    assert not net.tls_context(spec).check_hostname
    assert net.tls_context(Tls()).check_hostname
