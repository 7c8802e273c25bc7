"""The view against plain django-revproxy and against Flask with requests.

All three run under gunicorn with the same settings, on core 0; the load (wrk) and the
backend run on core 1. Rounds alternate, so that a slow minute of the machine meets each
alike; the table has the median of the rounds and its ratio to plain django-revproxy.

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
from importlib.metadata import version
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
def served(module: str, upstream: str, folder: Path) -> Iterator[str]:
    """A project under gunicorn; its URL, once it answers 200."""
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
    with running(command, environment):
        _wait(port)
        yield f"http://127.0.0.1:{port}/some/path?a=1&b=2"


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


def measure(url: str, seconds: int) -> float:
    """Requests a second; an answer other than 200 ends the benchmark."""
    done = subprocess.run(
        pinned(1, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url),
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"{url} fails under load:\n{done.stdout}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found
    return float(found[1])


def run(rounds: int, seconds: int) -> dict[str, list[float]]:
    """Requests a second of each project, by round."""
    results: dict[str, list[float]] = {name: [] for name in PROJECTS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(backend())
        urls = {
            name: stack.enter_context(served(module, upstream, folder))
            for name, module in PROJECTS.items()
        }
        for url in urls.values():
            measure(url, 1)  # warm
        for _ in range(rounds):
            for name, url in urls.items():
                results[name].append(measure(url, seconds))
    return results


def table(results: dict[str, list[float]]) -> str:
    baseline = statistics.median(results[BASELINE])
    lines = ["| under gunicorn gthread | requests/s | ratio | rounds |", "|---|--:|--:|---|"]
    for name, found in results.items():
        median = statistics.median(found)
        each = ", ".join(f"{value:,.0f}" for value in found)
        lines.append(f"| {name} | {median:,.0f} | {median / baseline:.2f} | {each} |")
    return "\n".join(lines)


def report(results: dict[str, list[float]], rounds: int, seconds: int) -> str:
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
    results = run(options.rounds, options.seconds)
    print(json.dumps(results, indent=2) if options.json else table(results))
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(report(results, options.rounds, options.seconds))


if __name__ == "__main__":
    main()
