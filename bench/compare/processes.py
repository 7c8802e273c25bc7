"""Processes of the benchmark: each pinned, awaited, measured, and ended by its own id."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
STOP_S = 15.0
FILES = 65_536
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(SystemExit):
    """Ends the benchmark with one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which core each part runs on. `second` is for the second of two workers."""

    peer: int
    backend: int
    load: int
    second: int

    @property
    def spare(self) -> bool:
        """Whether a second worker has a core for itself."""
        return self.second not in (self.backend, self.load)

    def __str__(self) -> str:
        if self.backend == self.load:
            return f"each proxy on core {self.peer}, backend and load on core {self.load}"
        return (
            f"each proxy on core {self.peer}, the backend on core {self.backend}, "
            f"the load on core {self.load}"
        )


def cores() -> Cores:
    """As the machine has them: with more than two, backend and load do not share one."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise Failed("this benchmark needs two cores: one for the proxy, one for the load")
    last = found[min(3, len(found) - 1)]
    return Cores(
        peer=found[0], backend=found[1], load=found[min(2, len(found) - 1)], second=last
    )


def step_aside(pid: int, aside: bool) -> None:
    """Has a process and those below it run only where nobody else wants to, or not so any
    more. Even idle servers look after their connections and workers."""
    policy = os.SCHED_IDLE if aside else os.SCHED_OTHER
    for one in tree(pid):
        with suppress(OSError):  # it has ended
            for thread in os.listdir(f"/proc/{one}/task"):
                os.sched_setscheduler(int(thread), policy, os.sched_param(0))


def pinned(core: int | str, *command: str) -> list[str]:
    return ["taskset", "--cpu-list", str(core), *command]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def raise_file_limit(least: int) -> None:
    """As far as is allowed and of use, for what is started from here on too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < least:
        raise Failed(f"{least} open files are needed, {hard} allowed: raise `ulimit -Hn`")
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process with its standard input and output in our hands."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    own = tree(process.pid)
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        for pid in own:  # those that had their chance
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(BrokenPipeError):
                pipe.close()


def wait_for_200(process: subprocess.Popen[str], port: int, name: str) -> None:
    """Until it answers, or Failed."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"{name} ended with status {process.returncode}: see its output above")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if sock.recv(64).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.1)
    raise Failed(f"{name} does not answer 200 on port {port} within {START_S:.0f} s")


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += tree(int(child))
    return found


def cpu_s(pid: int) -> float:
    """Processor time of the process and all below it so far (proc(5): utime, stime)."""
    ticks = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def memory_kib(pid: int) -> tuple[int, int]:
    """RSS and PSS of the process and all below it. PSS counts a shared page once."""
    rss = pss = 0
    for each in tree(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Rss":
                rss += int(value.split()[0])
            elif name == "Pss":
                pss += int(value.split()[0])
    return rss, pss


def core_s(core: int) -> tuple[float, float]:
    """Seconds that the core was busy, and all of them, since the start of the machine."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            spent = [int(field) / TICKS for field in fields[:8]]  # the rest is in user already
            return sum(spent) - spent[3] - spent[4], sum(spent)  # less idle and iowait
    raise Failed(f"/proc/stat has no core {core}")
