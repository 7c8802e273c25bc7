"""Celery's programs, each as a process that can be stopped, continued and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.services import eventually

ROOT = Path(__file__).resolve().parents[2]
_QUIET = ("-W", "ignore:You're running the worker with superuser privileges")
ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class Program:
    """`celery beat` or `celery worker`; `log` is what it writes."""

    def __init__(
        self, kind: str, folder: Path, environment: dict[str, str], *, name: str = ""
    ) -> None:
        self.log = folder / f"{name or kind}.log"
        argv = [sys.executable, *_QUIET, "-m", "celery", "--quiet", "-A", "proxysite", kind]
        if kind == "worker":
            argv += [*ALONE, "-n", f"{name or kind}@here"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """In good order, and not for ever."""
        if self._process.poll() is None:
            self.send(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, words: str, *, within_s: float) -> None:
        eventually(
            lambda: words in self.text, within_s=within_s, saying=f"{words!r} in its log"
        )


def environment(folder: Path, *, database: str = "", redis: str = "") -> dict[str, str]:
    return {
        **os.environ,
        "DATA_DIR": str(folder),
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "DJANGO_SETTINGS_MODULE": "proxysite.settings",
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }
