"""How probes end: within their time, and with every socket closed."""

import asyncio
import errno
import os
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest

from pools import resolver
from pools.core.document import Backend as Spec
from pools.health.asking.link import Link
from tests import services
from tests.health.conftest import OK, pool_of


def sockets():
    """How many sockets this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


@pytest.fixture
def silent():
    """A listener whose connections are made, by the kernel, and never served."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.settimeout(10)
        yield listener


def at(listener):
    return Spec(host="127.0.0.1", port=listener.getsockname()[1])


def resolves_to(monkeypatch, *addresses):
    found = [(0, 0, 0, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(resolver.socket, "getaddrinfo", lambda *_, **__: found)


# --- Addresses


def test_addresses_of_a_name_are_tried_in_turn(run, backend, monkeypatch):
    there = backend()
    resolves_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    spec = Spec(host="two.test", port=there.port)
    steps = []

    async def twice(asker):
        assert (await asker.ask(pool_of(), spec, steps)).ok
        assert (await asker.ask(pool_of(), spec, steps)).ok

    run(twice)
    assert [
        (step.name, step.detail) for step in steps if step.name in ("resolve", "connect")
    ] == [
        ("resolve", "127.0.0.2, 127.0.0.1"),
        ("connect", f"127.0.0.2:{there.port}: connection refused"),
        ("connect", f"127.0.0.1:{there.port}"),
        ("resolve", "127.0.0.1, 127.0.0.2"),  # the one that answered comes first
        ("connect", f"127.0.0.1:{there.port}"),
    ]
    assert f"Host: two.test:{there.port}\r\n".encode() in there.heads[0]


def test_the_last_address_says_what_is_wrong(run, monkeypatch):
    resolves_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    spec = Spec(host="two.test", port=services.free_port())
    result = run(lambda asker: asker.ask(pool_of(), spec))
    assert (result.ok, result.reason) == (False, "connection refused")


def test_a_silent_address_leaves_the_next_its_share_of_the_time(run, backend, monkeypatch):
    there = backend()
    connect = Link.connect

    async def silent(self, address):
        if address[0] == "127.0.0.2":
            await asyncio.sleep(60)
        await connect(self, address)

    monkeypatch.setattr(Link, "connect", silent)
    resolves_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    spec = Spec(host="two.test", port=there.port)
    steps = []
    assert run(lambda asker: asker.ask(pool_of(timeout_s=1.0), spec, steps)).ok
    assert steps[1].detail == f"127.0.0.2:{there.port}: no answer"


def test_a_name_without_an_address(run, monkeypatch):
    resolves_to(monkeypatch)
    result = run(lambda asker: asker.ask(pool_of(), Spec(host="none.test", port=80)))
    assert result.reason == "name does not resolve"


def test_names_that_nobody_asks_for_are_forgotten(run, backend, monkeypatch):
    there = backend()
    looked_up = []
    found = [(0, 0, 0, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(
        resolver.socket, "getaddrinfo", lambda name, *_, **__: looked_up.append(name) or found
    )
    monkeypatch.setattr(resolver, "FORGET_S", -1.0)

    async def twice(asker):
        for _ in range(2):
            assert (await asker.ask(pool_of(), Spec(host="app.test", port=there.port))).ok
            asker._sweep_at = 0.0

    run(twice)
    assert looked_up == ["app.test", "app.test"]


# --- Time


def test_hanging_backends_hold_up_nobody(run, backend, silent):
    """500 at once, and as many that answer beside them."""
    there = backend()

    async def ask_all(asker):
        hanging = [asker.ask(pool_of(timeout_s=1.0), at(silent)) for _ in range(500)]
        tasks = [asyncio.create_task(each) for each in hanging]
        answered = [
            await asker.ask(pool_of(), Spec(host="127.0.0.1", port=there.port))
            for _ in range(100)
        ]
        before = sum(task.done() for task in tasks)
        return answered, before, await asyncio.gather(*tasks), sockets()

    open_before = sockets()
    answered, _, hung, open_after = run(ask_all)
    assert all(result.ok for result in answered)
    assert {result.reason for result in hung} == {"timed out after 1 s reading the answer"}
    assert all(result.timed_out for result in hung)
    assert open_after < open_before + 10  # what the loop itself has


def test_a_result_that_is_late_for_this_process_is_ours(run, silent):
    async def held_up(asker):
        task = asyncio.create_task(asker.ask(pool_of(timeout_s=0.1), at(silent)))
        await asyncio.sleep(0)
        time.sleep(0.8)  # the whole loop stands still, as in a pause of the process
        return await task

    result = run(held_up)
    assert (result.ok, result.ours) == (False, True)


def test_what_this_process_lacks_is_ours(run, monkeypatch):
    async def lacking(self, address):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Link, "connect", lacking)
    result = run(lambda asker: asker.ask(pool_of(), Spec(host="127.0.0.1", port=80)))
    assert (result.ok, result.ours, result.reason) == (False, True, "too many open files")


def test_what_is_wrong_here_is_logged_and_ours(run, monkeypatch, caplog):
    async def broken(self, address):
        raise KeyError("a mistake")

    monkeypatch.setattr(Link, "connect", broken)
    result = run(lambda asker: asker.ask(pool_of(), Spec(host="127.0.0.1", port=80)))
    assert (result.ok, result.ours) == (False, True)
    assert "probing web/127.0.0.1:80" in caplog.text


def test_results_of_backends_are_not_ours(ask):
    assert not ask(services.free_port()).ours


def test_a_time_out_of_tcp_itself_is_one(run, monkeypatch):
    async def gave_up(self, address):
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    monkeypatch.setattr(Link, "connect", gave_up)
    result = run(lambda asker: asker.ask(pool_of(), Spec(host="127.0.0.1", port=80)))
    assert (result.timed_out, result.reason) == (True, "connection timed out")


# --- Ends


def test_a_connection_that_is_reset(ask, backend):
    def resets(connection, ended):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert ask(backend(resets).port).reason == "connection reset by peer"


def ends(backend, answer):
    """A backend, and how the connections to it end after its answer: "end" or "reset"."""
    seen = []

    def answers(connection, ended):
        answer(connection)
        try:
            while connection.recv(65536):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("reset")

    return backend(answers), seen


def test_a_backend_that_ends_its_answer_is_not_reset(ask, backend):
    def answer(connection):
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_WR)

    there, seen = ends(backend, answer)
    assert ask(there.port).ok
    services.eventually(lambda: seen)
    assert seen == ["end"]


def test_a_backend_that_does_not_is_reset(ask, backend):
    there, seen = ends(backend, lambda connection: connection.sendall(OK))
    assert ask(there.port).ok
    services.eventually(lambda: seen)
    assert seen == ["reset"]


def test_a_probe_by_tcp_ends_in_good_order(ask, backend):
    there, seen = ends(backend, lambda connection: connection.sendall(b"+PONG\r\n"))
    assert ask(there.port, kind="tcp", send="PING", expect="+PONG").ok
    services.eventually(lambda: seen)
    assert seen == ["end"]


def test_a_backend_that_goes_on_after_a_probe_by_tcp_is_reset(run, silent):
    assert run(lambda asker: asker.ask(pool_of(kind="tcp"), at(silent))).ok
    connection, _ = silent.accept()
    with connection, pytest.raises(ConnectionError):
        while connection.recv(1) == b"":
            connection.sendall(b"x")


def test_a_probe_that_fails_resets(run, silent):
    run(lambda asker: asker.ask(pool_of(timeout_s=0.1), at(silent)))
    connection, _ = silent.accept()
    with connection, pytest.raises(ConnectionResetError):
        while connection.recv(65536):
            pass


@pytest.mark.parametrize(
    ("scheme", "kind"), [("http", "http"), ("https", "http"), ("http", "tls"), ("http", "tcp")]
)
def test_a_cancelled_probe_leaves_no_socket(run, silent, scheme, kind):
    spec = Spec(host="127.0.0.1", port=at(silent).port, scheme=scheme)
    expects = {"expect": "+PONG"} if kind == "tcp" else {}

    async def cancel(asker):
        before = sockets()
        task = asyncio.create_task(asker.ask(pool_of(kind=kind, **expects), spec))
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return before, sockets() - 1  # the accepted one

    before, after = run(cancel)
    assert before == after


def test_a_probe_cancelled_in_its_farewell_leaves_no_socket(run, backend, monkeypatch):
    there = backend(lambda connection, ended: (connection.sendall(OK), ended.wait(5)))
    leaving = asyncio.Event()
    leave = Link.leave

    async def slowly(self, **how):
        leaving.set()
        await leave(self, **how | {"within_s": 60.0})

    monkeypatch.setattr(Link, "leave", slowly)

    async def cancel(asker):
        task = asyncio.create_task(
            asker.ask(pool_of(), Spec(host="127.0.0.1", port=there.port))
        )
        await leaving.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = sockets()
    run(cancel)
    there.close()
    assert sockets() <= before


def test_every_end_closes_its_socket(run, backend, silent, tmp_path):
    """Each kind of failure, and success, on one loop."""
    probed = [
        (pool_of(), backend()),
        (pool_of(), backend(b"")),
        (pool_of(), backend(b"nonsense\r\n\r\n")),
        (pool_of(statuses="201"), backend()),
        (pool_of(kind="tcp", expect="x", send="x"), backend(b"y")),
        (pool_of(kind="tls"), backend(b"y" * 100)),
        (pool_of(text="x", body_bytes=1), backend()),
    ]

    async def ask_all(asker):
        before = sockets()
        for pool, there in probed:
            await asker.ask(pool, Spec(host=there.host, port=there.port))
        await asker.ask(pool_of(timeout_s=0.1), at(silent))
        await asker.ask(pool_of(), Spec(host="127.0.0.1", port=services.free_port()))
        await asker.ask(pool_of(), Spec(host=f"unix:{tmp_path}/none"))
        # A backend may still have its own end of the last connection.
        await asyncio.to_thread(services.eventually, lambda: sockets() <= before)

    run(ask_all)


def test_a_unix_socket_whose_queue_is_full(ask, tmp_path):
    path = str(tmp_path / "app.sock")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        with suppress(BlockingIOError):
            for _ in range(10):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(path)
        reason = ask(host=f"unix:{path}", kind="tcp").reason
    assert reason == "its queue of new connections is full"
