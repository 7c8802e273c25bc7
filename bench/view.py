"""The view against plain django-revproxy and against Flask with requests.

All three run under gunicorn with the same settings, on core 0; the load (wrk) and the
backend run on core 1. Rounds alternate, so that a slow minute of the machine meets each
alike; the table has the median of the rounds and its ratio to plain django-revproxy. Beside
the rate stands the processor time that the server took for each request, which tells the
same on a machine that has other things to do.

    python -m bench.view [--rounds 5] [--seconds 4] [--json] [--write]

`--write` keeps the table in bench/results/view.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results" / "view.md"
BASELINE = "django-revproxy"
PROJECTS = {
    "proxysite": "bench.projects.proxysite",
    BASELINE: "bench.projects.plain_revproxy",
    "Flask + requests": "bench.projects.flask_requests",
}
CONNECTIONS = 16
START_S = 30.0


@dataclass(frozen=True)
class Round:
    """`cpu_us`: processor time of the server's workers for each request."""

    rate: float
    cpu_us: float


@dataclass(frozen=True)
class Served:
    url: str
    pid: int

    def cpu_s(self) -> float:
        """Processor time that the workers have had so far (proc(5): utime, stime)."""
        ticks = 0
        for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def pinned(core: int, *command: str) -> list[str]:
    return ["taskset", "--cpu-list", str(core), *command]


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def backend() -> Iterator[str]:
    """The fast backend's URL."""
    command = pinned(1, sys.executable, "-m", "bench.projects.backend")
    with running(command, dict(os.environ)) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"


@contextmanager
def served(module: str, upstream: str, folder: Path) -> Iterator[Served]:
    """A project under gunicorn, once it answers 200."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "DATA_DIR": str(folder),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "UPSTREAM": upstream,
        "DJANGO_SETTINGS_MODULE": "proxysite.settings" if "proxysite" in module else "",
        "LOG_LEVEL": "WARNING",
    }
    command = pinned(
        0,
        *(sys.executable, "-m", "gunicorn", f"{module}:application"),
        *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
        *("--workers", "1", "--threads", "8", "--log-level", "error", "--no-control-socket"),
    )
    with running(command, environment) as process:
        _wait(port)
        yield Served(f"http://127.0.0.1:{port}/some/path?a=1&b=2", process.pid)


def _wait(port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if sock.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"what should answer on port {port} does not: see its output above")


def measure(server: Served, seconds: int) -> Round:
    """One round; an answer other than 200 ends the benchmark."""
    before = server.cpu_s()
    done = subprocess.run(
        pinned(1, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", server.url),
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"{server.url} fails under load:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    count = re.search(r"(\d+) requests in", done.stdout)
    assert rate
    assert count
    cpu_s = server.cpu_s() - before
    return Round(float(rate[1]), cpu_s / int(count[1]) * 1e6)


def run(rounds: int, seconds: int) -> dict[str, list[Round]]:
    """The rounds of each project."""
    results: dict[str, list[Round]] = {name: [] for name in PROJECTS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(backend())
        servers = {
            name: stack.enter_context(served(module, upstream, folder))
            for name, module in PROJECTS.items()
        }
        for server in servers.values():
            measure(server, 1)  # warm
        for _ in range(rounds):
            for name, server in servers.items():
                results[name].append(measure(server, seconds))
    return results


def table(results: dict[str, list[Round]]) -> str:
    rates = {name: statistics.median(r.rate for r in found) for name, found in results.items()}
    cpu = {name: statistics.median(r.cpu_us for r in found) for name, found in results.items()}
    lines = [
        "| under gunicorn gthread | requests/s | ratio | CPU µs/request | ratio | rounds |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for name, found in results.items():
        each = ", ".join(f"{one.rate:,.0f}" for one in found)
        lines.append(
            f"| {name} | {rates[name]:,.0f} | {rates[name] / rates[BASELINE]:.2f} "
            f"| {cpu[name]:,.0f} | {cpu[BASELINE] / cpu[name]:.2f} | {each} |"
        )
    return "\n".join(lines)


def report(results: dict[str, list[Round]], rounds: int, seconds: int) -> str:
    names = ("django", "django-revproxy", "urllib3", "flask", "requests", "gunicorn")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return f"""# The view, compared

Made by `python -m bench.view --rounds {rounds} --seconds {seconds} --write`: GET of 1 KiB
through one gunicorn worker with 8 threads on core 0, from wrk with {CONNECTIONS} connections
on core 1, where the backend runs too; medians of alternating rounds.

{table(results)}

Python {platform.python_version()}, {versions}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="print the rounds as JSON")
    parser.add_argument("--write", action="store_true", help=f"keep it in {RESULTS.name}")
    options = parser.parse_args()
    for program in ("wrk", "taskset"):
        if not shutil.which(program):
            raise SystemExit(f"{program} is needed for this benchmark: install it")
    if not find_spec("flask"):
        raise SystemExit("flask is needed: pip install -r requirements-bench.txt")
    results = run(options.rounds, options.seconds)
    if options.json:
        plain = {name: [asdict(one) for one in found] for name, found in results.items()}
        print(json.dumps(plain, indent=2))
    else:
        print(table(results))
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(report(results, options.rounds, options.seconds))


if __name__ == "__main__":
    main()
