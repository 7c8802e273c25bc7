"""Clients that are slow to ask, or deaf, keep no thread for long; a real gunicorn."""

import http.client
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.services import eventually, free_port

THREADS = 2
DEAF_S = 1.0  # as Hasty has it


@pytest.fixture
def served(tmp_path):
    """A port, and what gunicorn logged so far."""
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "gunicorn", "tests.proxysite.hasty:application"]
    options = {
        "--bind": f"127.0.0.1:{port}",
        "--worker-class": "tests.proxysite.hasty.Hasty",
        "--threads": str(THREADS),
        "--log-level": "warning",
    }
    argv = [
        *command,
        "--no-control-socket",
        *(word for pair in options.items() for word in pair),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        eventually(lambda: answers(port), within_s=20)
        yield port, log
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(10)


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read() == b"ok"
    except ConnectionError:
        return False
    finally:
        connection.close()


def test_heads_that_do_not_end_are_given_up(served):
    port, log = served
    slow = [socket.create_connection(("127.0.0.1", port), 15) for _ in range(THREADS)]
    for client in slow:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX")
    assert answers(port)
    for client in slow:
        with client, client.makefile("rb") as answer:
            assert answer.read().startswith(b"HTTP/1.1 408 ")  # to the end: it was closed
    assert log.read_text() == ""


def test_clients_that_stay_after_their_answer_hold_nobody_up(served):
    """So many that waiting for one after the other would take longer than `answers` does."""
    port, _ = served
    staying = [socket.create_connection(("127.0.0.1", port), 15) for _ in range(64)]
    for client, field in zip(staying, [b"Connection: close", b"bad header"] * 32, strict=True):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n")
    assert answers(port)
    for client in staying:
        with client, client.makefile("rb") as answer:
            assert answer.read().startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))


def test_slow_readers_have_all_they_ask_for(served):
    """Reading little by little is not deaf, for longer than a deaf client gets."""
    port, log = served
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(15)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    until = time.monotonic() + 4 * DEAF_S
    while time.monotonic() < until:
        assert client.recv(2048)
        select.select([], [], [], DEAF_S / 10)
    client.close()
    assert log.read_text() == ""


def test_clients_that_do_not_read_are_given_up(served):
    port, log = served
    deaf = []
    for _ in range(THREADS):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        deaf.append(client)
    assert answers(port)
    for client in deaf:
        client.close()
    assert log.read_text() == ""
