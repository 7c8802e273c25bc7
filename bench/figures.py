"""What it costs to write down what is carried, and to read it.

Two gateways of one worker, from source, each before the same 1,000 backends: one as it is, one
that writes nothing of what it carries. Each runs on a core of its own, wrk and the backends
on another. Rounds alternate, each a multiple of the ten seconds in which all is written once;
the ratios are medians of the ratios of rounds beside each other. Of two gateways that are the
same the one that was started first was slower by some two percent: half of the rounds are of
gateways that were started in the other order. What other threads took is the mean of the
rounds, as one of each minute has the wide spans too.

Rates of rounds beside each other differ by far more than what is looked for. The processor
time of the gateway's other threads, which write, does not.

What is read is a week of four processes and 1,000 backends that were always busy, in SQLite
and in PostgreSQL.

    python -m bench.figures [--rounds 5] [--seconds 10] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.compare import configs, load
from bench.compare.processes import (
    ROOT,
    TICKS,
    Failed,
    cores,
    free_port,
    pinned,
    raise_file_limit,
    running,
    step_aside,
    tree,
    wait_for_200,
)
from tests import services

RESULT = ROOT / "bench" / "results" / "figures.md"
BACKENDS = 1_000
LOAD = load.Load(connections=64)
AS_IT_IS, SILENT = "as it is", "writing nothing"
PROGRAMS = {AS_IT_IS: ["manage.py"], SILENT: ["-m", "bench.projects.uncounted"]}


@dataclass(frozen=True, slots=True)
class Gateway:
    url: str
    pid: int

    def cpu_s(self) -> tuple[float, float]:
        """Processor time of the worker's loop, and of its other threads, so far."""
        (worker,) = tree(self.pid)[1:]
        loop = others = 0
        for thread in os.listdir(f"/proc/{worker}/task"):
            stat = Path(f"/proc/{worker}/task/{thread}/stat").read_text()
            fields = stat.rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            if int(thread) == worker:
                loop += ticks
            else:
                others += ticks
        return loop / TICKS, others / TICKS


@dataclass(frozen=True, slots=True)
class Round:
    """Requests a second, their p99, and processor time: of the worker in µs for a request,
    and of its other threads in ms for a second."""

    rate: float
    p99_ms: float
    cpu_us: float
    others_ms: float


def write_rounds(rounds: int, seconds: int) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = {name: [] for name in PROGRAMS}
    for names in (list(PROGRAMS), list(reversed(PROGRAMS))):
        for name, made in _started(names, rounds, seconds).items():
            found[name] += made
    return found


def _started(names: list[str], rounds: int, seconds: int) -> dict[str, list[Round]]:
    """Rounds of gateways that were started in this order."""
    at = cores()
    found: dict[str, list[Round]] = {name: [] for name in names}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(_backends(folder, at.backend))
        gateways = {
            name: stack.enter_context(_gateway(folder / str(number), name, port, at.peer))
            for number, name in enumerate(names)
        }
        for number in range(rounds + 1):
            for name in gateways if number % 2 else reversed(gateways):
                gateway = gateways[name]
                step_aside(gateway.pid, False)
                one = _round(gateway, folder, at.load, seconds)
                step_aside(gateway.pid, True)
                if number:  # the first one warms
                    found[name].append(one)
                    said = f"{number}/{rounds} {name}: {one.rate:,.0f} requests/s"
                    print(said, file=sys.stderr, flush=True)
    return found


def _round(gateway: Gateway, folder: Path, core: int, seconds: int) -> Round:
    before = gateway.cpu_s()
    answered = load.wrk(LOAD, gateway.url, core=core, seconds=seconds, folder=folder)
    loop_s, others_s = (
        after - begun for after, begun in zip(gateway.cpu_s(), before, strict=True)
    )
    return Round(
        rate=answered.rate,
        p99_ms=answered.p99_ms,
        cpu_us=(loop_s + others_s) / answered.requests * 1e6,
        others_ms=others_s / seconds * 1e3,
    )


@contextmanager
def _backends(folder: Path, core: int) -> Iterator[int]:
    """One nginx on as many addresses of loopback; its port."""
    port = free_port()
    config = configs.backend(folder, port)
    listens = "\n".join(f"listen {host}:{port};" for host in _hosts())
    text = config.read_text().replace(f"listen 127.0.0.1:{port};", listens)
    config.write_text(text)
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with running(pinned(core, *command)) as process:
        wait_for_200(process, port, "nginx")
        yield port


def _hosts() -> list[str]:
    """127.0.0.1 is among them."""
    return [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(BACKENDS)]


@contextmanager
def _gateway(folder: Path, name: str, backends: int, core: int) -> Iterator[Gateway]:
    folder.mkdir()
    environment = _environment(folder) | {"NATIVE": "0"}
    document = {
        "pools": [
            {
                "name": "web",
                "probe": {"kind": "off"},
                "backends": [{"host": host, "port": backends} for host in _hosts()],
            }
        ],
        "routes": [{"name": "all", "pool": "web"}],
    }
    file = folder / "site.yaml"
    file.write_text(json.dumps(document))
    for arguments in (["migrate", "-v0"], ["config", "apply", str(file)]):
        _done([sys.executable, "manage.py", *arguments], environment)
    port = free_port()
    gateway = ["gateway", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--status-bind", ""]
    command = pinned(core, sys.executable, *PROGRAMS[name], *gateway)
    with running(command, environment) as process:
        wait_for_200(process, port, "the gateway")
        yield Gateway(f"http://127.0.0.1:{port}", process.pid)


def read_times() -> dict[str, dict[str, float]]:
    """What bench.projects.carried says of each database: milliseconds, and megabytes."""
    found = {}
    for store in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            environment = _environment(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            if store == "PostgreSQL":
                environment["DATABASE_URL"] = stack.enter_context(services.postgres_server())
            print(f"reading, {store} …", file=sys.stderr, flush=True)
            told = json.loads(
                _done([sys.executable, "-m", "bench.projects.carried"], environment)
            )
            found[store] = {**told["ms"], "megabytes": told["megabytes"]}
    return found


def _environment(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "proxysite.settings",
        "LOG_LEVEL": "ERROR",
    }


def _done(command: list[str], environment: dict[str, str]) -> str:
    with running(command, environment) as process:
        assert process.stdout
        text = process.stdout.read()
        if process.wait():
            raise Failed(f"{' '.join(command[1:4])} failed, see above")
        return text


def tables(writing: dict[str, list[Round]], reading: dict[str, dict[str, float]]) -> str:
    lines = [
        "| 1,000 backends | requests/s | p99 ms | CPU µs/request | other threads, ms/s |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, rounds in writing.items():
        rate, p99, cpu = (
            statistics.median(getattr(one, value) for one in rounds)
            for value in ("rate", "p99_ms", "cpu_us")
        )
        others = statistics.mean(one.others_ms for one in rounds)
        lines.append(f"| {name} | {rate:,.0f} | {p99:.1f} | {cpu:.1f} | {others:.1f} |")
    pairs = list(zip(writing[AS_IT_IS], writing[SILENT], strict=True))
    rate = statistics.median(ours.rate / other.rate for ours, other in pairs)
    cpu = statistics.median(ours.cpu_us / other.cpu_us for ours, other in pairs)
    more = statistics.mean(ours.others_ms - other.others_ms for ours, other in pairs)
    lines.append(f"| ratio, of pairs | {rate:.3f} | | {cpu:.3f} | +{more:.1f} |")
    lines += [
        "",
        f"Writing takes {more / 10:.2f} % of one core.",
        "",
        "| reading, ms | " + " | ".join(reading) + " |",
        "|---|" + "--:|" * len(reading),
    ]
    for what in next(iter(reading.values())):
        label = "tables of a week, MB" if what == "megabytes" else f"`{what}`"
        values = " | ".join(f"{of[what]:.0f}" for of in reading.values())
        lines.append(f"| {label} | {values} |")
    lines += ["", f"Python {platform.python_version()}, {os.cpu_count()} cores."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each order")
    parser.add_argument("--seconds", type=int, default=10, help="of each round")
    parser.add_argument("--write", action="store_true", help=f"keep it in {RESULT.name}")
    options = parser.parse_args()
    raise_file_limit(4 * BACKENDS)
    text = tables(write_rounds(options.rounds, options.seconds), read_times())
    print(text)
    if options.write:
        RESULT.write_text(
            "# What figures cost\n\nMade by `python -m bench.figures --rounds "
            f"{options.rounds} --seconds {options.seconds} --write`; its first lines have the "
            f"method.\n\n{text}\n"
        )


if __name__ == "__main__":
    main()
