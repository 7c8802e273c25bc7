"""The gateway as processes, and what can be known of them from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests import services
from tests.faults import PATIENCE_S
from tests.services import eventually

ROOT = Path(__file__).resolve().parents[2]


def environment(folder: Path, **values: str) -> dict[str, str]:
    """The project's, with a data folder of its own and quiet logs."""
    return {
        **os.environ,
        "DATABASE_URL": "",
        "REDIS_URL": "",
        **values,
        "DATA_DIR": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
    }


class Gateway:
    """`manage.py gateway` on a listener of its own, or on one that is given and shared."""

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        *,
        workers: int = 1,
        listener: socket.socket | None = None,
    ) -> None:
        own = listener or socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.address: tuple[str, int] = own.getsockname()
        self.status_address = "127.0.0.1", services.free_port()
        self.log = folder / f"gateway-{self.status_address[1]}.log"
        argv = [sys.executable, "manage.py", "gateway", "--bind", f"fd://{own.fileno()}"]
        argv += ["--workers", str(workers)]
        argv += ["--status-bind", "{}:{}".format(*self.status_address)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=environment,
                pass_fds=[own.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if own is not listener:
            own.close()
        self._workers = workers
        try:
            eventually(self._ready, within_s=2 * PATIENCE_S, saying=f"a start, see {self.log}")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _ready(self) -> bool:
        assert self.alive, f"the gateway did not start:\n{self.log.read_text()}"
        try:
            return len(self.workers()) == self._workers
        except (OSError, http.client.HTTPException):
            return False

    # --- what it says ----------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.local("/-/status")[1])
        return found

    def local(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer on its local address."""
        connection = http.client.HTTPConnection(*self.status_address, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def told(self) -> list[dict[str, Any]]:
        """What each worker tells, those too that drain; nothing while one does not answer."""
        workers: list[dict[str, Any]] = self.status()["workers"]
        return [] if any("problem" in worker for worker in workers) else workers

    def workers(self) -> list[int]:
        """The pids of those that do not drain."""
        return [worker["pid"] for worker in self.told() if not worker["draining"]]

    def connections(self) -> int:
        """How many the clients have open."""
        return sum(worker["connections"] for worker in self.told())

    def tunnels(self) -> int:
        return sum(worker["tunnels"] for worker in self.told())

    def rests(self) -> bool:
        """No request is under way, with clients or with backends."""
        status = self.status()
        totals, backends = status["totals"], status["backends"]
        busy = totals["exchanges"] or totals["tunnels"]
        return not busy and not any(backend["in_flight"] for backend in backends)

    def revision(self, number: int) -> None:
        """Waits until each worker routes by this revision."""
        eventually(
            lambda: self.told() and all(each["revision"] >= number for each in self.told()),
            within_s=PATIENCE_S,
            saying=f"revision {number} in force",
        )

    # --- its processes ---------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, signal_: signal.Signals) -> None:
        self._process.send_signal(signal_)

    def wait(self) -> int:
        """Its exit status."""
        return self._process.wait(2 * PATIENCE_S)

    def stop(self) -> None:
        if self.alive:
            self.send(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def said(self, text: str) -> int:
        """How many lines of its log hold this text."""
        return sum(text in line for line in self.log.read_text(errors="replace").splitlines())


def resident_kb(pids: Iterable[int], *, peak: bool = False) -> int:
    """What the processes hold in memory, or held at most since `forget_peaks`."""
    name = "VmHWM:" if peak else "VmRSS:"
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith(name))
    return total


def forget_peaks(pids: Iterable[int]) -> None:
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # man proc: resets VmHWM
