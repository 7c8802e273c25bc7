"""Probing at scale: 5,000 backends in 500 pools, each every 5 seconds.

Beat and the worker are as an operator runs them, with SQLite or with PostgreSQL and Redis;
the worker has core 0, all else core 1. The backends are on loopback: of each pool's ten, a
share takes connections and requests and never answers. What is told is what the backends
saw: how many probes, and how long after the one before. A pool is late by what that is
more than its interval. HAProxy's own checks of as many servers stand beside it, with one
thread.

    python -m bench.health [--seconds 30] [--pools 500] [--json] [--write]

`--write` keeps the table in bench/results/health.md. The databases begin empty, and the
first seconds, in which all is new, are not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from bench.compare.processes import (
    Failed,
    cpu_s,
    free_port,
    memory_kib,
    pinned,
    raise_file_limit,
    running,
)
from tests import services

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "health.md"
BACKENDS = 10  # of a pool
INTERVAL_S = 5.0
WARM_UP_S = 25.0  # down takes three probes, and pools have to find their pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`hanging`: of ten backends. `haproxy`: its checks instead of ours."""

    name: str
    hanging: int = 0
    workers: int = 1
    postgres: bool = False
    haproxy: bool = False


SCENARIOS = (
    Scenario(name="none hang, SQLite"),
    Scenario(name="10 % hang, SQLite", hanging=1),
    Scenario(name="50 % hang, SQLite", hanging=5),
    Scenario(name="10 % hang, PostgreSQL and Redis", hanging=1, postgres=True),
    Scenario(name="50 % hang, PostgreSQL and Redis", hanging=5, postgres=True),
    Scenario(name="10 % hang, two workers", hanging=1, postgres=True, workers=2),
    Scenario(name="HAProxy, none hang", haproxy=True),
    Scenario(name="HAProxy, 10 % hang", hanging=1, haproxy=True),
    Scenario(name="HAProxy, 50 % hang", hanging=5, haproxy=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`late_s`: the latest probe of any backend. `twice`: probes that came within half an
    interval. `core`, `beat`: share of a core. `written`: rows of health that changed."""

    name: str
    backends: int
    rate: float
    late_p99_s: float
    late_s: float
    twice: int
    core: float
    beat: float
    rss_mib: float
    written: int | None


class Backends:
    """The process of bench.projects.probed."""

    def __init__(self, process: Popen[str]) -> None:
        self._process = process
        ports = self._line()
        self.answering: list[int] = ports["answering"]
        self.hanging: list[int] = ports["hanging"]

    def begin(self) -> None:
        self._tell("begin")

    def report(self) -> dict[str, Any]:
        self._tell("report")
        return self._line()

    def ports(self, hanging: int) -> list[int]:
        return self.answering[hanging:] + self.hanging[:hanging]

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def measure(scenario: Scenario, *, pools: int, seconds: float) -> Measured:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = pinned(1, sys.executable, "-m", "bench.projects.probed", str(BACKENDS))
        backends = Backends(stack.enter_context(running(command)))
        ports = backends.ports(scenario.hanging)
        changed: Any = None
        if scenario.haproxy:
            probers, beat = [stack.enter_context(_haproxy(folder, pools, ports))], None
        else:
            environment = stack.enter_context(_environment(scenario, folder))
            _publish(environment, pools, ports)
            changed = environment
            beat = stack.enter_context(running(_celery(1, "beat"), environment))
            worker = _celery(
                0, "worker", "--without-gossip", "--without-mingle", "--without-heartbeat"
            )
            probers = [
                stack.enter_context(running([*worker, "-n", f"w{index}"], environment))
                for index in range(scenario.workers)
            ]
        time.sleep(WARM_UP_S)
        backends.begin()
        before = _spent(probers, beat)
        time.sleep(seconds)
        told = backends.report()
        after = _spent(probers, beat)
        if any(process.poll() is not None for process in probers):
            raise Failed(f"{scenario.name}: a prober ended, see its output above")
        late = sorted(max(0.0, gap - INTERVAL_S) for gap in told["gaps"])
        if told["asked"] < pools * BACKENDS:
            late.append(seconds)  # some were not asked at all
        late.append(max(0.0, told["waiting"] - INTERVAL_S))
        return Measured(
            name=scenario.name,
            backends=pools * BACKENDS,
            rate=(len(told["gaps"]) + told["asked"]) / told["seconds"],
            late_p99_s=sorted(late)[int(len(late) * 0.99)],
            late_s=max(late),
            twice=sum(gap < INTERVAL_S / 2 for gap in told["gaps"]),
            core=(after[0] - before[0]) / seconds,
            beat=(after[1] - before[1]) / seconds,
            rss_mib=sum(memory_kib(process.pid)[0] for process in probers) / 1024,
            written=_written(changed, seconds) if changed else None,
        )


def _spent(probers: list[Popen[str]], beat: Popen[str] | None) -> tuple[float, float]:
    return sum(cpu_s(process.pid) for process in probers), cpu_s(beat.pid) if beat else 0.0


def _celery(core: int, *arguments: str) -> list[str]:
    quiet = ("-W", "ignore:You're running the worker with superuser privileges")
    command = (sys.executable, *quiet, "-m", "celery", "--quiet", "-A", "proxysite")
    return pinned(core, *command, *arguments)


@contextmanager
def _environment(scenario: Scenario, folder: Path) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        postgres = redis = ""
        if scenario.postgres:
            postgres = stack.enter_context(services.postgres_server())
            redis = stack.enter_context(services.redis_server())
        yield {
            "DATA_DIR": str(folder),
            "DATABASE_URL": postgres,
            "REDIS_URL": redis,
            "DJANGO_SETTINGS_MODULE": "proxysite.settings",
            "LOG_LEVEL": "ERROR",
            "NATIVE": "0",
        }


def _publish(environment: dict[str, str], pools: int, ports: list[int]) -> None:
    """The site, by `manage.py config apply`, as an operator would."""
    wanted = {
        "pools": [
            {
                "name": f"p{index}",
                "probe": {"path": "/health", "host": f"p{index}", "interval_s": INTERVAL_S},
                "backends": [{"host": "127.0.0.1", "port": port} for port in ports],
            }
            for index in range(pools)
        ]
    }
    file = Path(environment["DATA_DIR"], "site.yaml")
    file.write_text(json.dumps(wanted))  # which is YAML, too
    for arguments in (["migrate", "-v0"], ["config", "apply", str(file)]):
        command = [sys.executable, "manage.py", *arguments]
        with running(command, environment) as process:
            assert process.stdout
            said = process.stdout.read()
            if process.wait():
                raise Failed(f"{' '.join(arguments[:2])} failed: {said[-2000:]}")


def _written(environment: dict[str, str], seconds: float) -> int:
    """Rows of health that were written in the last `seconds`."""
    code = (
        "from datetime import timedelta; from pools.control import clock; "
        "from pools.models import BackendHealth; "
        f"since = clock.now() - timedelta(seconds={seconds}); "
        "print(BackendHealth.objects.filter(changed_at__gt=since).count())"
    )
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    with running(command, environment) as process:
        assert process.stdout
        return int(process.stdout.read())


@contextmanager
def _haproxy(folder: Path, pools: int, ports: list[int]) -> Iterator[Popen[str]]:
    lines = [
        "global",
        "  nbthread 1",
        "  maxconn 2000",
        "defaults",
        "  mode http",
        "  timeout connect 2s",
        "  timeout client 5s",
        "  timeout server 5s",
        "  timeout check 2s",
        "  option httpchk",
        f"  default-server check inter {INTERVAL_S:.0f}s rise 2 fall 3",
    ]
    # Without a listener it does not start.
    lines += ["listen status", f"  bind 127.0.0.1:{free_port()}", "  stats enable"]
    for index in range(pools):
        lines.append(f"backend p{index}")
        lines.append(f"  http-check send meth GET uri /health ver HTTP/1.1 hdr Host p{index}")
        lines += [f"  server s{port} 127.0.0.1:{port}" for port in ports]
    config = folder / "haproxy.cfg"
    config.write_text("\n".join(lines) + "\n")
    command = pinned(0, services.program("haproxy"), "-q", "-db", "-f", str(config))
    with running(command) as process:
        yield process


def table(found: list[Measured], seconds: float) -> str:
    head = (
        "|  | backends | probes/s | late p99 s | latest s | asked twice | core % | beat % "
        "| RSS MiB | rows written |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    lines = [
        f"| {one.name} | {one.backends:,} | {one.rate:,.0f} | {one.late_p99_s:.2f} "
        f"| {one.late_s:.2f} | {one.twice} | {one.core:.0%} | {one.beat:.1%} "
        f"| {one.rss_mib:.0f} | {'' if one.written is None else one.written} |"
        for one in found
    ]
    versions = (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {seconds:g} s each."
    )
    return "\n".join((head, *lines, "", versions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pools", type=int, default=500)
    parser.add_argument("--only", default="", help="scenarios whose name has this in it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    options = parser.parse_args()
    raise_file_limit(8192)
    found = []
    for scenario in SCENARIOS:
        if options.only in scenario.name:
            print(f"{scenario.name} …", file=sys.stderr, flush=True)
            found.append(measure(scenario, pools=options.pools, seconds=options.seconds))
            print(f"  {found[-1]}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    text = table(found, options.seconds)
    print(text)
    if options.write:
        RESULT.write_text(
            "# Probing, compared\n\nMade by `python -m bench.health --write`; its first lines "
            f"have the method, docs/health.md what it means.\n\n{text}\n"
        )


if __name__ == "__main__":
    main()
