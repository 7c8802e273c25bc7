import asyncio
import json
import os
import random
import socket
import stat
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from pools import native
from pools.conf import Conf
from pools.core.counters import Counters, bucket
from pools.core.engine import Engine
from pools.core.headers import HeaderRules
from pools.core.probing import Verdict
from pools.gateway import status, status_page
from pools.gateway.certificates import Certificates
from pools.gateway.gateway import Gateway
from pools.gateway.status import Status
from tests.core.build import pool, snapshot
from tests.gateway import certs


@pytest.fixture
def run():
    def within(coroutine):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(asyncio.wait_for(coroutine, 10))

    return within


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


class Worker:
    """A gateway with its status; several in one process, by different process ids."""

    def __init__(self, folder, *, pid=None, loaded=True, certificates=None):
        loop = asyncio.get_running_loop()
        self.loaded = loaded
        self.engine = Engine(
            clock=loop.time,
            random=random.Random(1),
            snapshot=snapshot(
                pool([{"host": "a.test", "port": 80}, {"host": "b.test", "port": 80}]),
                revision=7,
            ),
        )
        self.gateway = Gateway(
            self.engine,
            rules=HeaderRules(make_id=lambda: b"id"),
            conf=Conf(),
            loop=loop,
            counters=Counters(),
            access_log=None,
            loaded=lambda: self.loaded,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getpid", lambda: pid or 100)
            self.status = Status(self.gateway, folder, certificates)

    def count(self, seconds):
        traffic = self.gateway.counters.route("shop")
        traffic.count(2, 0, 0, bucket(seconds))
        self.gateway.counters.backend("web/a.test:80").connects += 1
        self.gateway.counters.connections += 1


@asynccontextmanager
async def working(folder, *, bind="127.0.0.1", unix=None, listens=True, **options):
    worker = Worker(folder, **options)
    sock = None
    if unix:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(unix)
        sock.listen()
    elif listens:
        sock = socket.create_server((bind, 0))
    worker.address = sock and sock.getsockname()
    await worker.status.start(sock)
    try:
        yield worker
    finally:
        worker.status.close()
        await worker.gateway.close()


async def send(worker, request):
    if isinstance(worker.address, str):
        reader, writer = await asyncio.open_unix_connection(worker.address)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.address[1])
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


async def get(worker, path, host="localhost", method="GET"):
    """Status and content."""
    request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    head, _, content = (await send(worker, request.encode())).partition(b"\r\n\r\n")
    return int(head.split()[1]), content


async def told(worker):
    code, content = await get(worker, "/-/status")
    assert code == 200
    return json.loads(content)


def test_healthy_as_long_as_the_loop_turns(folder, run):
    async def ask():
        async with working(folder, loaded=False) as worker:
            worker.gateway.drain()
            return await get(worker, "/-/healthz")

    assert run(ask()) == (200, b"ok\n")


def test_ready_with_a_configuration_until_it_drains(folder, run):
    async def ask():
        async with working(folder, loaded=False) as worker:
            answers = [await get(worker, "/-/readyz")]
            worker.loaded = True
            answers.append(await get(worker, "/-/readyz"))
            worker.gateway.drain()
            answers.append(await get(worker, "/-/readyz"))
            return [(code, json.loads(content)) for code, content in answers]

    assert run(ask()) == [
        (503, {"ready": False, "why": "no configuration was loaded yet"}),
        (200, {"ready": True, "revision": 7}),
        (503, {"ready": False, "why": "draining"}),
    ]


def test_a_worker_that_drains_is_ready_by_another_that_is_not(folder, run):
    async def ask():
        async with working(folder) as worker:
            worker.gateway.drain()
            async with working(folder, pid=200, listens=False):
                ready, _ = await get(worker, "/-/readyz")
            gone, _ = await get(worker, "/-/readyz")
            async with working(folder, pid=300, listens=False) as other:
                other.gateway.drain()
                draining, _ = await get(worker, "/-/readyz")
            return ready, gone, draining

    assert run(ask()) == (200, 503, 503)


def test_any_worker_tells_of_all(folder, run):
    async def ask():
        async with working(folder) as one, working(folder, pid=200) as other:
            one.count(0.010)
            one.count(0.020)
            other.count(0.030)
            other.gateway.drain()
            return await told(one), await told(other)

    first, second = run(ask())
    for worker in (*first["workers"], *second["workers"]):
        assert worker.pop("uptime_s") >= 0
    assert first == second
    same = {"revision": 7, "loaded": True, "native": native.in_use}
    same |= {"connections": 0, "exchanges": 0, "tunnels": 0}
    counted = {"refused": 0, "unrouted": 0, "unready": 0, "tunnels": 0}
    assert first["workers"] == [
        {"pid": 100, "draining": False, **same, "counters": {"connections": 2, **counted}},
        {"pid": 200, "draining": True, **same, "counters": {"connections": 1, **counted}},
    ]
    assert first["totals"]["connections"] == 0
    counters = first["totals"]["counters"]
    assert counters["connections"] == 3
    assert counters["backends"]["web/a.test:80"]["connects"] == 3
    shop = counters["routes"]["shop"]
    assert shop["requests"] == 3
    assert shop["statuses"] == {"none": 0, "1xx": 0, "2xx": 3, "3xx": 0, "4xx": 0, "5xx": 0}
    assert 16 < shop["p50_ms"] < 24


def test_backends_are_told_with_what_each_worker_sees_of_them(folder, run):
    async def ask():
        async with working(folder) as one, working(folder, pid=200) as other:
            for worker in (one, other):
                first = worker.engine._pools["web"].backends["web/a.test:80"]
                first.in_flight, first.tunnels = 3, 1
            state = other.engine._pools["web"].backends["web/b.test:80"]
            state.passive.until = asyncio.get_running_loop().time() + 30
            state.passive.why = "a failed request: status 503"
            return await told(one)

    page = run(ask())
    assert page["pools"] == [
        {
            "name": "web",
            "panic_in": 0,
            "available": 1,
            "up": 0,
            "down": 0,
            "unknown": 2,
            "leaving": 0,
        }
    ]
    a, b = page["backends"]
    assert a == {
        "key": "web/a.test:80",
        "pool": "web",
        "state": "ready",
        "verdict": "unknown",
        "available_in": 2,
        "ejected_in": 0,
        "in_flight": 6,
        "tunnels": 2,
        "ejected_for_s": 0.0,
        "why": "",
    }
    assert (b["ejected_in"], b["why"][:12]) == (1, "ejected for ")
    assert b["why"].endswith(" s: a failed request: status 503")
    assert 0 < b["ejected_for_s"] <= 30


def test_panic_is_told_with_how_many_workers_see_it(folder, run):
    async def ask():
        async with working(folder) as one, working(folder, pid=200):
            one.engine.apply_health(
                dict.fromkeys(["web/a.test:80", "web/b.test:80"], Verdict.DOWN)
            )
            return await told(one)

    (web,) = run(ask())["pools"]
    assert (web["panic_in"], web["down"], web["available"]) == (1, 2, 2)


def test_whether_anybody_probes_is_told(folder, run):
    async def ask():
        async with working(folder) as worker:
            worker.status._probing = lambda: {"ok": False, "why": "no worker"}
            return (await told(worker))["probing"]

    assert run(ask()) == {"ok": False, "why": "no worker"}


def test_certificates_are_told_with_their_end(folder, tmp_path, run):
    certs.put(tmp_path / "a.pem", "a.example", days=5)
    certificates = Certificates(tmp_path)

    async def ask():
        async with working(folder, certificates=certificates) as worker:
            with_one = await told(worker)
        async with working(folder) as worker:
            return with_one["certificates"], (await told(worker))["certificates"]

    with_one, without = run(ask())
    assert (with_one, without) == (certificates.plain(), [])
    (end,) = certificates.ends()
    assert end == {"name": "a.example", "until": with_one[0]["until"]}
    assert with_one[0]["days_left"] == 4


def test_those_who_ask_at_once_share_one_answer(folder, run, monkeypatch):
    async def ask():
        async with working(folder) as worker:
            asked = []
            collect = worker.status._collect

            async def counting():
                asked.append(1)
                await asyncio.sleep(0.05)
                return await collect()

            worker.status._collect = counting
            answers = await asyncio.gather(*(told(worker) for _ in range(20)))
            await told(worker)
            return len(asked), {len(answer["workers"]) for answer in answers}

    assert run(ask()) == (2, {1})


def listening_socket(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def test_a_worker_that_does_not_answer_is_told_in_time(folder, run, monkeypatch):
    monkeypatch.setattr(status, "ANSWER_S", 0.05)

    async def ask():
        async with working(folder) as worker:
            with listening_socket(folder / "200.status"):
                return await told(worker)

    workers = run(ask())["workers"]
    assert workers[1] == {"pid": 200, "problem": "no answer that can be read"}
    assert workers[0]["pid"] == 100


@pytest.mark.parametrize("answer", [b"", b"{}\n{", b"{}\n[]", b"{}\n{}", b'{}\n{"worker":{}}'])
def test_a_worker_that_answers_otherwise_is_told(folder, run, answer):
    async def ask():
        async def tell(_, writer):
            writer.write(answer)
            writer.close()

        async with (
            working(folder) as worker,
            await asyncio.start_unix_server(tell, folder / "200.status"),
        ):
            worker.gateway.drain()
            ready, _ = await get(worker, "/-/readyz")
            return ready, await told(worker)

    ready, answered = run(ask())
    assert ready == 503
    assert answered["workers"][1] == {"pid": 200, "problem": "no answer that can be read"}


def test_sockets_of_dead_workers_are_removed(folder, run):
    async def ask():
        async with working(folder) as worker:
            listening_socket(folder / "200.status").close()
            (folder / "notes.txt").write_text("of somebody else")
            answered = await told(worker)
            return [one["pid"] for one in answered["workers"]], set(os.listdir(folder))

    assert run(ask()) == ([100], {"100.status", "notes.txt"})


def test_a_socket_that_a_dead_worker_of_the_same_id_left_is_replaced(folder, run):
    async def ask():
        folder.mkdir(0o700)
        for name in ("100.status", ".100"):
            listening_socket(folder / name).close()
        async with working(folder, listens=False), working(folder, pid=200) as other:
            return [one["pid"] for one in (await told(other))["workers"]]

    assert run(ask()) == [100, 200]


def test_closing_removes_the_socket_and_the_folder_is_the_users_alone(folder, run):
    async def ask():
        async with working(folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert os.listdir(folder) == ["100.status"]
        return os.listdir(folder)

    assert run(ask()) == []


def test_a_folder_that_others_get_into_is_not_used(folder, run, caplog):
    folder.mkdir()
    folder.chmod(0o755)

    async def ask():
        async with working(folder) as worker:
            return [one["pid"] for one in (await told(worker))["workers"]], os.listdir(folder)

    assert run(ask()) == ([100], [])
    assert caplog.messages == [
        f"the status page tells of one worker at a time, {folder} cannot be used:"
        " it is not this user's alone"
    ]


# --- the page ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:81", "127.0.0.1:81", "127.9.9.9", "[::1]"]
)
def test_names_of_this_machine_are_served(folder, run, host):
    async def ask():
        async with working(folder) as worker:
            return await get(worker, "/-/healthz", host)

    assert run(ask())[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "10.0.0.1", "[::2]", "a b", "127.0.0.1.x"],
)
@pytest.mark.parametrize("path", ["/-/healthz", "/-/readyz", "/-/status"])
def test_other_names_are_refused_against_rebinding(folder, run, host, path):
    async def ask():
        async with working(folder) as worker:
            return await get(worker, path, host)

    assert run(ask()) == (421, b"ask by localhost, or by the address that this listens on\n")


@pytest.mark.parametrize(
    ("bind", "host", "served"),
    [
        ("10.0.0.1", "10.0.0.1:8081", True),
        ("10.0.0.1", "10.0.0.2:8081", False),
        ("0.0.0.0", "10.0.0.2", True),
        ("::", "[2001:db8::1]:8081", True),
        ("::", "evil.example", False),
        ("fe80::1%eth0", "[fe80::1]", True),
        ("", "evil.example", True),
    ],
)
def test_the_address_that_is_bound_is_served_by(bind, host, served):
    assert status_page.Hosts(bind).serves(host.encode()) is served


def test_a_unix_socket_is_asked_by_any_name(folder, run, tmp_path):
    async def ask():
        async with working(folder, unix=str(tmp_path / "status")) as worker:
            return await get(worker, "/-/healthz", "anything")

    assert run(ask())[0] == 200


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"POST /-/status HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"DELETE /-/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /-/healthz/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /-/healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /-/healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01", 400),
        (b"GET /-/healthz HTTP/1.1\r\nX: " + b"a" * status_page.HEAD_BYTES, 431),
        (b"GET /-/healthz?now HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /-/healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /-/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2, 200),
        (
            b"GET /-/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n"
            b"Upgrade: websocket\r\n\r\n",
            200,
        ),
    ],
)
def test_a_request_gets_one_answer_and_the_connection_is_closed(folder, run, request_, code):
    async def ask():
        async with working(folder) as worker:
            return await send(worker, request_)

    answer = run(ask())
    assert answer.startswith(b"HTTP/1.1 %d " % code)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert (b"\r\nAllow: GET, HEAD\r\n" in answer) == (code == 405)


@pytest.mark.parametrize("path", ["/-/healthz", "/-/status", "/none"])
def test_head_gets_the_head_alone(folder, run, path):
    async def ask():
        async with working(folder) as worker:
            return await get(worker, path, method="HEAD"), await get(worker, path)

    (head, nothing), (code, content) = run(ask())
    assert (head, nothing) == (code, b"")
    assert content


def test_a_client_that_is_slow_is_closed(folder, run, monkeypatch):
    monkeypatch.setattr(status_page, "OPEN_S", 0.05)

    async def ask():
        async with working(folder) as worker:
            try:
                return await send(worker, b"GET /-/healthz HTTP/1.1\r\n")
            except ConnectionResetError:  # or so, by what was read of it
                return b""

    assert run(ask()) == b""


def test_connections_are_bounded(folder, run, monkeypatch):
    monkeypatch.setattr(status_page, "MOST_CONNECTIONS", 2)

    async def ask():
        async with working(folder) as worker:
            held = [await asyncio.open_connection(*worker.address) for _ in range(2)]
            while len(worker.status._open_ones) < 2:
                await asyncio.sleep(0.005)
            try:
                refused = await send(
                    worker, b"GET /-/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                )
            except ConnectionResetError:
                refused = b""
            for _, writer in held:
                writer.close()
            while worker.status._open_ones:
                await asyncio.sleep(0.005)
            return refused, await get(worker, "/-/healthz")

    assert run(ask()) == (b"", (200, b"ok\n"))


def test_a_failure_is_told_and_logged(folder, run, caplog):
    async def ask():
        async with working(folder) as worker:

            async def fails():
                raise RuntimeError("broken")

            worker.status._collect = fails
            return await get(worker, "/-/status"), await get(worker, "/-/healthz")

    (code, content), (healthy, _) = run(ask())
    assert (code, healthy) == (500, 200)
    assert content == b"this failed; the log says why\n"
    assert "broken" in caplog.text


def test_without_files_left_to_open_a_worker_tells_of_itself(folder, run, monkeypatch):
    async def ask():
        async with working(folder) as worker:
            with monkeypatch.context() as patch:
                patch.setattr(Path, "glob", failing)
                return [one["pid"] for one in (await told(worker))["workers"]]

    def failing(*_):
        raise OSError(24, "Too many open files")

    assert run(ask()) == [100]


def test_closing_ends_what_is_being_told(folder, run, monkeypatch):
    async def ask():
        async def never(*_):
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio, "to_thread", never)
        async with working(folder) as worker:
            asking = asyncio.create_task(send(worker, b"GET /-/status HTTP/1.0\r\n\r\n"))
            reader, writer = await asyncio.open_unix_connection(folder / "100.status")
            assert json.loads(await reader.readline())["pid"] == 100
            while not (worker.status._collecting and worker.status.telling):
                await asyncio.sleep(0.005)
        assert await reader.read() == b""
        writer.close()
        try:
            return await asking
        except ConnectionResetError:
            return b""

    assert run(ask()) == b""


def test_a_worker_serves_with_one_call(folder, run):
    async def ask():
        worker = Worker(folder)
        sock = socket.create_server(("127.0.0.1", 0))
        worker.address = sock.getsockname()
        served = await status.serve(sock, worker.gateway, folder)
        answer = await get(worker, "/-/healthz")
        served.close()
        await worker.gateway.close()
        return answer

    assert run(ask()) == (200, b"ok\n")
