"""Real servers for tests, on free ports of loopback and with folders of their own."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis

T = TypeVar("T")

STRICT = os.environ.get("REQUIRE_SERVICES") == "1"


def program(name: str, *folders: str) -> str:
    """Where a program is; without it the test is skipped, or fails with REQUIRE_SERVICES=1."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *folders]))
    if found is None:
        message = f"{name} is not installed"
        if STRICT:
            pytest.fail(message)
        pytest.skip(message)
    return found


PORTS_EACH = 2000


def _ports() -> Iterator[int]:
    """Those below what the system gives to connections, a part of them for each worker of
    the tests; none where the system does not say."""
    try:
        below = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return iter(())
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = range(max(below - PORTS_EACH * (worker + 1), 1024), below - PORTS_EACH * worker)
    return itertools.cycle(mine)


_next_ports = _ports()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing uses, nor soon will: the next one is another."""
    for port in itertools.chain(itertools.islice(_next_ports, PORTS_EACH), [0]):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as server:
            found: int = server.getsockname()[1]
            return found
    raise OSError("no port of 127.0.0.1 is free")


def _no_ipv6() -> str:
    """Why ::1 cannot be bound, as in many containers; "": it can."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        return f"::1 cannot be bound here: {os.strerror(error.errno or 0)}"
    return ""


NO_IPV6 = _no_ipv6()
needs_ipv6 = pytest.mark.skipif(bool(NO_IPV6), reason=NO_IPV6)


def eventually(
    condition: Callable[[], T],
    *,
    within_s: float = 10.0,
    saying: str = "",
    slowest_s: float = 0.25,
) -> T:
    """The condition's first true value; fails when there is none in time.

    What takes long is asked for less and less often, at last each `slowest_s`: looks cost the
    processes looked at.
    """
    begun, pause_s = time.monotonic(), 0.01
    while not (value := condition()):
        if time.monotonic() > begun + within_s:
            pytest.fail(f"not within {within_s:g} s: {saying or condition}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.2, slowest_s)
    return value


def gone(pid: int) -> bool:
    """Whether a process is no more; one that nobody has waited for counts as gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@contextmanager
def _running(
    argv: Sequence[str | Path], log: Path, *, stop: signal.Signals = signal.SIGTERM
) -> Iterator[None]:
    with log.open("wb") as output:
        child = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        except BaseException:
            print(log.read_text(errors="replace"))
            raise
        finally:
            child.send_signal(stop)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def redis_server(*, port: int | None = None, unix_socket: Path | None = None) -> Iterator[str]:
    """A Redis that keeps nothing; gives its URL."""
    server, port = program("redis-server"), port or free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory(prefix="proxysite-redis-") as folder:
        argv = [server, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        argv += ["--save", "", "--appendonly", "no"]
        if unix_socket:
            argv += ["--unixsocket", str(unix_socket)]
        with _running(argv, Path(folder, "log")), redis.Redis.from_url(url) as client:
            eventually(lambda: _answers(client.ping, redis.ConnectionError), saying="redis")
            yield url


class Redis:
    """One that can be stopped and started on its port."""

    def __init__(self) -> None:
        self._port = free_port()
        self._running = ExitStack()
        self.start()

    def start(self) -> None:
        self.url = self._running.enter_context(redis_server(port=self._port))

    def stop(self) -> None:
        self._running.close()


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of one superuser and an empty database; gives its URL."""
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    initdb, server = program("initdb", *folders), program("postgres", *folders)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="proxysite-postgres-") as folder:
        data, log = Path(folder, "data"), Path(folder, "log")
        user = _unprivileged(Path(folder))
        subprocess.run(
            [*user, initdb, "-D", data, "-U", "proxysite", "-A", "trust", "-E", "UTF8", "-N"],
            check=True,
            capture_output=True,
        )
        argv: list[str | Path] = [*user, server, "-D", data, "-k", ""]
        argv += ["-c", "listen_addresses=127.0.0.1"]
        argv += ["-p", str(port), "-c", "fsync=off", "-c", "max_connections=200"]
        url = f"postgres://proxysite@127.0.0.1:{port}/postgres"
        with _running(argv, log, stop=signal.SIGINT):  # SIGINT: does not wait for clients
            eventually(
                lambda: _answers(lambda: psycopg.connect(url).close(), psycopg.Error),
                saying="postgres",
                within_s=30,
            )
            yield url


def _answers(ask: Callable[[], object], error: type[Exception]) -> bool:
    try:
        ask()
    except error:
        return False
    return True


def _unprivileged(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: the words that make it another user's."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [
        program("setpriv"),
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
    ]
