"""Listening sockets: what an operator can write, and what is said to what cannot be meant."""

import os
import socket
import stat

import pytest

from pools.gateway import listening
from pools.gateway.listening import Kind, Refused
from tests.services import needs_ipv6


def accepts(address, family=socket.AF_INET):
    with socket.socket(family) as client:
        client.settimeout(10)
        client.connect(address)
        return True


@pytest.fixture
def listen():
    """listen(bind, **options) -> Listener that is closed with the test."""
    made = []

    def listen(bind, **options):
        made.append(listening.listen(bind, **options))
        return made[-1]

    yield listen
    for listener in made:
        listener.close(unlink=True)


def test_a_free_port_is_listened_on_and_told(listen):
    listener = listen("127.0.0.1:0")
    host, port = listener.sock.getsockname()
    assert accepts((host, port))
    assert str(listener) == f"http://127.0.0.1:{port}"


@needs_ipv6
def test_any_ipv6_address_takes_ipv4_too(listen):
    listener = listen("[::]:0")
    port = listener.sock.getsockname()[1]
    assert accepts(("127.0.0.1", port))
    assert accepts(("::1", port), socket.AF_INET6)


@needs_ipv6
def test_one_ipv6_address_takes_ipv6_alone(listen):
    listener = listen("[::1]:0", kind=Kind.HTTPS)
    port = listener.sock.getsockname()[1]
    assert accepts(("::1", port), socket.AF_INET6)
    assert str(listener) == f"https://[::1]:{port}"


def test_who_reaches_a_unix_socket_may_connect(listen, tmp_path):
    path = tmp_path / "socket"
    listener = listen(f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert accepts(str(path), socket.AF_UNIX)
    assert str(listener) == f"http://unix:{path}"


def test_a_unix_socket_that_nobody_listens_on_is_replaced(listen, tmp_path):
    path = tmp_path / "socket"
    listen(f"unix:{path}").close()
    assert path.exists()
    listen(f"unix:{path}")
    assert accepts(str(path), socket.AF_UNIX)


def test_a_unix_socket_in_use_is_left_alone(listen, tmp_path):
    path = tmp_path / "socket"
    listen(f"unix:{path}")
    with pytest.raises(Refused, match="address already in use"):
        listen(f"unix:{path}")
    assert accepts(str(path), socket.AF_UNIX)


def test_a_file_that_is_no_socket_is_left_alone(listen, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(Refused, match="address already in use"):
        listen(f"unix:{path}")
    assert path.read_text() == "mine"


def test_only_the_end_of_all_removes_the_file(listen, tmp_path):
    path = tmp_path / "socket"
    listener = listen(f"unix:{path}")
    listener.close()
    assert path.exists()
    listener.close(unlink=True)
    assert not path.exists()


def test_a_socket_of_the_parents_is_taken_over(listen):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        listener = listen(f"fd://{server.detach()}")
    assert accepts(address)
    assert listener.path == ""


def test_programs_that_this_one_becomes_inherit_it(listen):
    assert os.get_inheritable(listen("127.0.0.1:0").fileno())


def test_sockets_are_handed_over_in_order(listen, tmp_path):
    path = tmp_path / "socket"
    binds = [("127.0.0.1:0", Kind.HTTP), (f"unix:{path}", Kind.HTTPS)]
    fds = [listening.listen(bind, kind=kind).sock.detach() for bind, kind in binds]
    plain, tls = listening.adopt(binds, fds)
    assert (plain.kind, tls.kind) == (Kind.HTTP, Kind.HTTPS)
    assert accepts(plain.sock.getsockname())
    assert accepts(str(path), socket.AF_UNIX)
    plain.close()
    tls.close(unlink=True)
    assert not path.exists()


def test_sockets_of_other_addresses_are_not_taken_over():
    with pytest.raises(Refused, match="2 sockets were handed over for 1 addresses"):
        listening.adopt([("127.0.0.1:0", Kind.HTTP)], [3, 4])


@pytest.mark.parametrize(
    ("bind", "reason"),
    [
        ("", "not ADDRESS:PORT"),
        ("8080", "not ADDRESS:PORT"),
        (":8080", "not ADDRESS:PORT"),
        ("127.0.0.1", "not ADDRESS:PORT"),
        ("127.0.0.1:", "not ADDRESS:PORT"),
        ("127.0.0.1:-1", "not ADDRESS:PORT"),
        ("127.0.0.1:http", "not ADDRESS:PORT"),
        ("127.0.0.1:65536", "not ADDRESS:PORT"),
        ("127.0.0.1:²", "not ADDRESS:PORT"),
        ("::1:8080", r"write IPv6 as \[::1\]:8080"),
        ("[127.0.0.1]:8080", r"write IPv6 as \[::1\]:8080"),
        ("a b:8080", "no such address"),
        ("a\udcff:8080", "not ADDRESS:PORT"),
        ("unix:", "not ADDRESS:PORT"),
        ("unix:relative", "write unix:/absolute/path"),
        ("unix:/nowhere/socket", "no such file or directory"),
        ("unix:/" + "x" * 200, "AF_UNIX path too long"),
        ("fd://x", "not fd://NUMBER"),
        ("fd://99999", "bad file descriptor"),
        ("192.0.2.1:8080", "cannot assign requested address"),
    ],
)
def test_what_cannot_be_listened_on_is_one_line_with_the_mend(bind, reason):
    with pytest.raises(
        Refused, match=f"\\({reason}\\): give another with --tls-bind$"
    ) as error:
        listening.listen(bind, kind=Kind.HTTPS, option="--tls-bind")
    assert "\n" not in str(error.value)


def test_a_port_in_use(listen):
    port = listen("127.0.0.1:0").sock.getsockname()[1]
    with pytest.raises(Refused, match=f"127.0.0.1:{port} .address already in use."):
        listen(f"127.0.0.1:{port}")


def test_a_connection_is_no_listener(listen):
    near, far = socket.socketpair()
    with near, far, pytest.raises(Refused, match="not a listening socket"):
        listen(f"fd://{near.fileno()}")
