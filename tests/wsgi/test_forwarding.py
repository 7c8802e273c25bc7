"""What is made of failures and of clients; the wire is the conformance suite's."""

import gc
import random
import socket
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from django.test import RequestFactory

from pools.control import watch
from pools.core.engine import Engine
from pools.wsgi import arrival, connection, forwarding, responses
from pools.wsgi.view import PoolProxyView
from tests.conformance.backends import OK, Backend
from tests.core.build import pool, snapshot

# An answer that is closed makes Django look at its connection, if an earlier test left one.
pytestmark = pytest.mark.django_db


@pytest.fixture
def strict(monkeypatch, backend):
    """An engine that ejects `backend` at its first failure."""
    made = snapshot(
        pool(
            [
                {"host": "127.0.0.1", "port": backend.port, "weight": 256},
                {"host": "127.0.0.1", "port": 9},
            ],
            passive={"failures": 1, "panic_percent": 0},
            exchange_timeout_s=100.0,
        ),
        routes=[{"name": "all", "pool": "web", "hosts": ["a.test"]}],
    )
    engine = Engine(clock=time.monotonic, random=random.Random(1), snapshot=made)
    monkeypatch.setattr(watch, "engine", lambda: engine)
    arrival.header_rules.cache_clear()
    yield engine
    arrival.header_rules.cache_clear()
    assert {status.in_flight for status in engine.status()} == {0}


def served(body=b""):
    """The answer to a request; one with a body is a POST."""
    make = RequestFactory(HTTP_HOST="a.test")
    request = make.post("/", body, content_type="text/plain") if body else make.get("/")
    return PoolProxyView.as_view()(request)


def test_answer_that_is_never_closed_frees_its_backend_with_the_next_request(strict, backend):
    """As when a middleware above ours raises: the server never gets the response."""
    backend.script = backend.closes_after(OK.replace(b": 2", b": 9"))
    served()
    gc.collect()
    backend.script = backend.answers(OK)
    served().close()
    assert {status.in_flight for status in strict.status()} == {0}


def test_deadline_that_passes_during_the_answer_ejects_nobody(strict, backend, monkeypatch):
    """A client that reads slowly could bring it about."""
    backend.script = backend.closes_after(OK.replace(b": 2", b": 9"))
    with closing(served()) as response:
        pieces = iter(response)
        next(pieces)
        later = time.monotonic() + 200
        monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: later))
        with pytest.raises(responses.CutShort, match="took too long"):
            list(pieces)
    assert not strict.ejected()


@pytest.mark.parametrize("slow", [True, False])
def test_answer_that_breaks_off_while_it_is_read_slowly(strict, backend, monkeypatch, slow):
    """Backends have time-outs of their own: a slow client must not have them ejected."""
    monkeypatch.setattr(forwarding, "SLOW_CLIENT_S", 1e-9 if slow else 60.0)
    backend.script = backend.closes_after(OK.replace(b": 2", b": 9"))
    with closing(served()) as response, pytest.raises(responses.CutShort):
        list(response)
    assert bool(strict.ejected()) is not slow


@pytest.fixture
def proxied(monkeypatch):
    """proxied(backend, ...): the view serves a pool of it, with these settings."""

    def start(listed, **settings):
        made = snapshot(pool([listed], **settings), routes=[{"name": "all", "pool": "web"}])
        engine = Engine(clock=time.monotonic, random=random.Random(1), snapshot=made)
        monkeypatch.setattr(watch, "engine", lambda: engine)

    arrival.header_rules.cache_clear()
    yield start
    arrival.header_rules.cache_clear()


@pytest.mark.parametrize(
    ("settings", "hint", "connections"),
    [
        ({}, b"timeout=5", 1),
        ({}, b"timeout=1", 2),
        ({"keepalive_connections": 0}, b"timeout=5", 2),
    ],
)
def test_connections_are_kept_as_the_pool_and_the_backend_say(
    proxied, backend, settings, hint, connections
):
    proxied({"host": "127.0.0.1", "port": backend.port}, **settings)
    backend.script = backend.answers(
        OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: %b\r\n\r\n" % hint)
    )
    for _ in range(2):
        with closing(served()) as response:
            assert b"".join(response) == b"ok"
    assert backend.connections == connections


def test_backend_at_a_unix_socket_is_asked_for_localhost(proxied, tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{tmp_path}/app.sock")
    listener.listen()
    backend = Backend(listener=listener)
    redirect = (
        b"HTTP/1.1 302 Found\r\nLocation: http://localhost/x\r\nContent-Length: 0\r\n\r\n"
    )
    backend.script = backend.answers(redirect)
    proxied({"host": f"unix:{tmp_path}/app.sock"}, host={"mode": "backend"})
    with closing(served()) as response:
        assert dict(response.items())["Location"] == "http://a.test/x"
    assert backend.got().one("Host") == b"localhost"
    forwarding.idle.clear()
    backend.close()


def test_full_pool_refuses_at_once_and_does_not_queue(proxied, backend):
    proxied({"host": "127.0.0.1", "port": backend.port}, max_in_flight=1, queue_timeout_s=60.0)
    backend.script = backend.closes_after(OK.replace(b": 2", b": 9"))
    with closing(served()) as held:
        assert held.status_code == 200
        with closing(served()) as refused:
            assert (refused.status_code, refused["Retry-After"]) == (503, "1")


@pytest.mark.parametrize("slow", [True, False])
def test_backend_that_gives_up_a_slow_upload(strict, backend, monkeypatch, slow):
    monkeypatch.setattr(forwarding, "SLOW_CLIENT_S", 1e-9 if slow else 60.0)
    backend.script = lambda plane: plane.request()
    assert served(b"hello").status_code == 502
    assert bool(strict.ejected()) is not slow
