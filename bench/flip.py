"""How soon a flip is in force: from the end of the probe that decides to the last request.

A site as an operator runs it: a gateway of two workers, beat and a worker, on SQLite, on
PostgreSQL, and on PostgreSQL with Redis. Requests come all the time, over many connections.
One of two backends says that it is ill: it answers its probes with 503 and requests as ever,
so that only the verdict keeps requests away. It writes down when it answered the probe that
decides (the last before the verdict turns) and when the last request met it after that; and
when it is well again, when the first request meets it.

    python -m bench.flip [--flips 10] [--json] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.compare.processes import Failed, free_port, running, wait_for_200
from bench.projects.ill import Ill
from tests import services

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "flip.md"
TURNS = 2  # rise and fall
PROBE = {"interval_s": 1.0, "timeout_s": 0.5, "rise": TURNS, "fall": TURNS, "path": "/health"}
CLIENTS = 8
PAUSE_S = 0.005  # of each client, between two requests
REST_S = 3.0  # after the probe that decides, for the last request to have come
STORES = {"SQLite": (False, False), "PostgreSQL": (True, False), "and Redis": (True, True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Seconds, of each flip."""

    store: str
    down: list[float]
    up: list[float]
    failed: int


class Clients:
    """Ask the gateway all the time, on connections that stay open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self.failed = 0
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._ended.wait(PAUSE_S):
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except (OSError, HTTPException):
                self.failed += 1
                connection.close()
        connection.close()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def measure(store: str, flips: int) -> Measured:
    postgres, redis = STORES[store]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ill, well = Ill(), Ill()
        stack.callback(ill.close)
        stack.callback(well.close)
        environment = {
            "DATA_DIR": str(folder),
            "DATABASE_URL": stack.enter_context(services.postgres_server()) if postgres else "",
            "REDIS_URL": stack.enter_context(services.redis_server()) if redis else "",
            "DJANGO_SETTINGS_MODULE": "proxysite.settings",
            "LOG_LEVEL": "ERROR",
        }
        _publish(environment, [ill.port, well.port])
        port = free_port()
        stack.enter_context(_site(environment, port))
        clients = Clients(port)
        stack.callback(clients.end)
        _until(lambda: ill.requests, "a request meets the backend")
        down, up = [], []
        for _ in range(flips):
            down.append(_down(ill))
            up.append(_up(ill))
        return Measured(store=store, down=down, up=up, failed=clients.failed)


def _down(ill: Ill) -> float:
    """From the probe that decides to the last request after it."""
    ill.begin(well=False)
    _until(lambda: len(ill.probes) >= TURNS, "probes meet the backend")
    time.sleep(REST_S)
    at = ill.probes[TURNS - 1]
    return max((request - at for request in ill.requests if request > at), default=0.0)


def _up(ill: Ill) -> float:
    """From the probe that decides to the first request after it."""
    ill.begin(well=True)
    _until(lambda: ill.requests, "requests are back")
    passed = [probe for probe in ill.probes if probe < ill.requests[0]]
    if len(passed) < TURNS:
        raise Failed("a request came before the verdict turned")
    return ill.requests[0] - passed[TURNS - 1]


def _until(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until:
            raise Failed(f"not within 60 s: {what}")
        time.sleep(0.005)


def _publish(environment: dict[str, str], ports: list[int]) -> None:
    backends = [{"host": "127.0.0.1", "port": port} for port in ports]
    passive = {"panic_percent": 0}
    pool = {"name": "web", "probe": PROBE, "passive": passive, "backends": backends}
    file = Path(environment["DATA_DIR"], "site.yaml")
    file.write_text(json.dumps({"pools": [pool], "routes": [{"name": "all", "pool": "web"}]}))
    for arguments in (["migrate", "-v0"], ["config", "apply", str(file)]):
        with running([sys.executable, "manage.py", *arguments], environment) as process:
            assert process.stdout
            process.stdout.read()
            if process.wait():
                raise Failed(f"{' '.join(arguments[:2])} failed, see above")


@contextmanager
def _site(environment: dict[str, str], port: int) -> Iterator[None]:
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "proxysite"]
    gateway = [sys.executable, "manage.py", "gateway", "--bind", f"127.0.0.1:{port}"]
    gateway += ["--workers", "2", "--status-bind", f"127.0.0.1:{free_port()}"]
    with ExitStack() as stack:
        process = stack.enter_context(running(gateway, environment))
        for program in (["worker", "--without-gossip", "--without-mingle"], ["beat"]):
            stack.enter_context(running([*celery, *program], environment))
        wait_for_200(process, port, "the gateway")
        yield


def table(found: list[Measured]) -> str:
    lines = [
        "|  | flips | down: median s | down: longest s | up: median s | up: longest s "
        "| requests failed |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {one.store} | {len(one.down)} | {statistics.median(one.down):.2f} "
        f"| {max(one.down):.2f} | {statistics.median(one.up):.2f} | {max(one.up):.2f} "
        f"| {one.failed} |"
        for one in found
    ]
    lines += ["", f"Python {platform.python_version()}, {os.cpu_count()} cores."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--flips", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    options = parser.parse_args()
    found = []
    for store in STORES:
        print(f"{store} …", file=sys.stderr, flush=True)
        found.append(measure(store, options.flips))
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    text = table(found)
    print(text)
    if options.write:
        RESULT.write_text(
            "# How soon a flip is in force\n\nMade by `python -m bench.flip --write`; its "
            f"first lines have the method.\n\n{text}\n"
        )


if __name__ == "__main__":
    main()
