"""Workers under their master, by signals and real requests."""

import os
import re
import resource
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pools.gateway.worker import MOST_FILES
from tests.conformance.backends import OK, Backend
from tests.gateway import process
from tests.services import eventually, gone

SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
# A main of its own: a loop that hangs is given up sooner.
IMPATIENT = """if True:
    import sys, django
    from django.core.management import execute_from_command_line
    django.setup()
    from pools.gateway import arbiter
    arbiter.HUNG_S = 2.0
    execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def backend():
    made = Backend()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def as_new(backend):
    yield
    assert backend.errors == []
    backend.reset()


@pytest.fixture(scope="module")
def folder(backend, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    process.publish(folder, process.document(backend.port))
    return folder


@pytest.fixture
def start(folder, tmp_path):
    """start(*arguments, **environment) -> a gateway that serves; ended with the test."""
    started = []

    def start(*arguments, **variables):
        log = tmp_path / f"log-{len(started)}"
        started.append(process.Running(folder, log, *arguments, **variables))
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()
        assert "Traceback" not in gateway.output


@pytest.fixture
def hold(backend):
    """The backend keeps each request: `arrived` is set when one is there, and it is answered
    when `release` is set."""

    class Hold:
        arrived, release = threading.Event(), threading.Event()

        def script(self, plane):
            while plane.request():
                self.arrived.set()
                self.release.wait(process.PATIENCE_S)
                plane.send(OK)

    hold = Hold()
    backend.script = hold.script
    yield hold
    hold.release.set()


@contextmanager
def requests_all_the_time(gateway, clients=4):
    """Clients that ask again and again, each time on a new connection; gives the statuses so
    far, and what went wrong instead."""
    answers, enough = [], threading.Event()

    def ask():
        while not enough.is_set():
            try:
                answer = gateway.get()
            except OSError as error:
                answers.append(error)
            else:
                answers.append(answer and answer[0])

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask) for _ in range(clients)]
        try:
            yield answers
        finally:
            enough.set()
        for future in asking:
            future.result()


def more(answers, count=20):
    """Wait until so many more have come."""
    until = len(answers) + count
    eventually(lambda: len(answers) >= until, within_s=process.PATIENCE_S)


def refused(gateway):
    try:
        gateway.connect().__exit__()
    except ConnectionError:
        return True
    return False


def echoes(plane):
    plane.head()
    plane.send(SWITCHED)
    while data := plane.sock.recv(1024):
        plane.send(data)


@contextmanager
def tunnel(gateway):
    """A tunnel that carries bytes each way."""
    with gateway.connect() as client:
        assert client.get("/", *UPGRADE)[0] == 101
        assert client.echoed(b"first")
        yield client


# --- reload ------------------------------------------------------------------------------


def test_a_reload_replaces_the_workers_and_loses_no_request(start):
    gateway = start("--workers", "2")
    before = gateway.ready(2)
    with requests_all_the_time(gateway) as answers:
        more(answers)
        gateway.signal(signal.SIGHUP)
        eventually(
            lambda: len(gateway.workers()) == 2 and not {*before} & {*gateway.workers()},
            within_s=process.PATIENCE_S,
        )
        more(answers)
    assert set(answers) == {200}


def test_a_reload_finishes_what_is_under_way(start, hold):
    gateway = start()
    (before,) = gateway.ready()
    with gateway.connect() as client:
        client.ask()
        assert hold.arrived.wait(process.PATIENCE_S)
        gateway.signal(signal.SIGHUP)
        port = gateway.address[1]
        eventually(lambda: not process.listens(before, port), within_s=process.PATIENCE_S)
        hold.release.set()
        status, fields, body = client.answer()
        assert (status, fields["connection"], body) == (200, "close", b"ok")
    eventually(lambda: gone(before), within_s=process.PATIENCE_S)


def test_a_worker_that_dies_while_another_drains_is_replaced_meanwhile(start, hold, backend):
    gateway = start()
    (draining,) = gateway.ready()
    with gateway.connect() as client:
        client.ask()
        assert hold.arrived.wait(process.PATIENCE_S)
        gateway.signal(signal.SIGHUP)
        port = gateway.address[1]
        eventually(lambda: not process.listens(draining, port), within_s=process.PATIENCE_S)
        (new,) = {*gateway.workers()} - {draining}
        os.kill(new, signal.SIGKILL)
        backend.script = backend.answers(OK)
        assert gateway.get()[0] == 200
        assert draining in gateway.workers()
        hold.release.set()
        assert client.answer()[0] == 200


# --- the end -----------------------------------------------------------------------------


def test_told_to_end_it_finishes_what_is_under_way_and_takes_nothing_new(start, hold):
    gateway = start()
    gateway.ready()
    with gateway.connect() as client:
        client.ask()
        assert hold.arrived.wait(process.PATIENCE_S)
        gateway.signal(signal.SIGTERM)
        eventually(lambda: refused(gateway))
        hold.release.set()
        status, fields, body = client.answer()
        assert (status, fields["connection"], body) == (200, "close", b"ok")
        assert client.over()
    assert gateway.ended() == 0


def test_told_to_end_it_closes_idle_connections(start):
    gateway = start()
    gateway.ready()
    with gateway.connect() as client:
        assert client.get()[0] == 200
        gateway.signal(signal.SIGTERM)
        assert client.over()
    assert gateway.ended(10) == 0


def test_told_to_end_it_serves_who_has_just_connected(start):
    gateway = start()
    gateway.ready()
    with gateway.connect() as new, gateway.connect() as idle:
        assert idle.get()[0] == 200  # the one before is accepted, too
        gateway.signal(signal.SIGTERM)
        assert idle.over()
        status, fields, _ = new.get()
        assert (status, fields["connection"]) == (200, "close")
    assert gateway.ended(10) == 0


def test_what_takes_longer_than_its_time_is_cut(start, hold):
    gateway = start(DRAIN_TIMEOUT="0.5")
    gateway.ready()
    with gateway.connect() as client:
        client.ask()
        assert hold.arrived.wait(process.PATIENCE_S)
        gateway.signal(signal.SIGTERM)
        assert client.over()
    assert gateway.ended() == 0


def test_tunnels_have_a_time_of_their_own(start, backend, hold):
    """Requests are cut at once here, and tunnels are not."""
    gateway = start(DRAIN_TIMEOUT="0", TUNNEL_DRAIN_TIMEOUT="3600")
    gateway.ready()
    with gateway.connect() as client:
        client.ask()
        assert hold.arrived.wait(process.PATIENCE_S)
        backend.script = echoes
        with tunnel(gateway) as open_one:
            gateway.signal(signal.SIGTERM)
            assert client.over()
            assert open_one.echoed(b"second")
    assert gateway.ended() == 0


def test_tunnels_are_cut_when_their_time_is_over(start, backend):
    backend.script = echoes
    gateway = start(DRAIN_TIMEOUT="3600", TUNNEL_DRAIN_TIMEOUT="0.5")
    gateway.ready()
    with tunnel(gateway) as client:
        gateway.signal(signal.SIGTERM)
        assert client.over()
    assert gateway.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_interrupted_it_ends_at_once(start, hold, number):
    gateway = start()
    gateway.ready()
    with gateway.connect() as client:
        client.ask()
        assert hold.arrived.wait(process.PATIENCE_S)
        gateway.signal(number)
        assert gateway.ended(10) == 0
        assert client.over()


def test_workers_without_a_master_finish_and_end(start, hold, tmp_path):
    gateway = start(TMPDIR=str(tmp_path))
    (worker,) = gateway.ready()
    with gateway.connect() as client:
        client.ask()
        assert hold.arrived.wait(process.PATIENCE_S)
        gateway.signal(signal.SIGKILL)
        gateway.ended()
        eventually(lambda: refused(gateway))
        hold.release.set()
        assert client.answer()[0] == 200
    eventually(lambda: gone(worker), within_s=process.PATIENCE_S)
    assert list(tmp_path.glob("gateway-*")) == []


# --- workers that fail -------------------------------------------------------------------


def connect_to(gateway, worker):
    """A connection that this one of the workers has, as the others stand still meanwhile."""
    others = [pid for pid in gateway.workers() if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    client = gateway.connect()
    assert client.get()[0] == 200
    for pid in others:
        os.kill(pid, signal.SIGCONT)
    return client


def test_a_killed_worker_is_replaced_and_costs_its_own_connections_alone(start):
    gateway = start("--workers", "2")
    one, other = gateway.ready(2)
    with connect_to(gateway, one) as lost, connect_to(gateway, other) as kept:
        os.kill(one, signal.SIGKILL)
        assert lost.over()
        assert kept.get()[0] == 200
        eventually(lambda: one not in gateway.workers())
        assert other in gateway.ready(2)
        assert kept.get()[0] == 200


@pytest.mark.parametrize("begun", [True, False])
def test_a_worker_that_hangs_is_replaced(start, begun):
    gateway = start(code=IMPATIENT)
    (hung,) = gateway.ready() if begun else gateway.workers()
    os.kill(hung, signal.SIGSTOP)
    eventually(lambda: gone(hung), within_s=process.PATIENCE_S)
    assert gateway.get()[0] == 200


def test_a_worker_may_open_as_many_files_as_the_system_lets_it(start):
    gateway = start()
    (worker,) = gateway.ready()
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    assert soft == (MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES))


def test_it_starts_without_a_database(start, tmp_path):
    """And without a file of the last good configuration: it says that it knows of none."""
    gateway = start(
        DATA_DIR=str(tmp_path / "none"), DATABASE_URL="postgres://site@127.0.0.1:1/site"
    )
    assert gateway.get()[0] == 503


# --- upgrade -----------------------------------------------------------------------------


@pytest.fixture
def notices(tmp_path):
    """What systemd would be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(process.PATIENCE_S)
        yield told


def masters(gateway):
    """The processes that said to listen, once there are two."""
    found = re.findall(r"listening on .*, process (\d+)", gateway.output)
    return [int(pid) for pid in found] if len(found) == 2 else None


def test_an_upgrade_starts_the_program_beside_and_loses_no_request(start, tmp_path, notices):
    path = str(tmp_path / "socket")
    gateway = start("--bind", f"unix:{path}", NOTIFY_SOCKET=notices.getsockname())
    gateway.ready()
    with requests_all_the_time(gateway) as answers:
        more(answers)
        gateway.signal(signal.SIGUSR2)
        old, new = eventually(lambda: masters(gateway), within_s=process.PATIENCE_S)
        assert old == gateway.pid
        try:
            eventually(lambda: process.children(new), within_s=process.PATIENCE_S)
            more(answers)
            gateway.signal(signal.SIGTERM)
            assert gateway.ended() == 0
            more(answers)
            with process.Client(path) as client:  # the file is the new program's now
                assert client.get()[0] == 200
        finally:
            os.kill(new, signal.SIGTERM)
            eventually(lambda: gone(new), within_s=process.PATIENCE_S)
        until = len(answers)
    assert set(answers[:until]) >= {200}
    told = [notices.recv(100).decode().split("\n")[0] for _ in range(3)]
    assert told == ["READY=1", "READY=1", f"MAINPID={new}"]
    assert not os.path.exists(path)


# --- access log --------------------------------------------------------------------------


def test_the_access_log_is_opened_anew_after_it_was_moved_away(start, tmp_path):
    file, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    gateway = start("--access-log", str(file))
    gateway.ready()
    gateway.get("/before")
    eventually(lambda: "GET /before" in file.read_text())
    file.rename(moved)
    gateway.signal(signal.SIGUSR1)
    eventually(file.exists)
    gateway.get("/after")
    eventually(lambda: "GET /after" in file.read_text())
    assert "GET /after" not in moved.read_text()
