"""A PostgreSQL that can be stopped and started again with what it holds."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests import services
from tests.faults import PATIENCE_S
from tests.services import eventually, gone


class Database:
    """The server of `services.postgres_server`, which is found by what it says of itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            folder = connection.execute("SHOW data_directory").fetchone()[0]
        self._pid_file = Path(folder, "postmaster.pid")
        self._process: subprocess.Popen[bytes] | None = None
        pid = self._pid()
        self._argv = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
        self._program = os.readlink(f"/proc/{pid}/exe")
        owner = self._pid_file.stat()
        self._user = {} if owner.st_uid == os.geteuid() else _user(owner)

    def stop(self) -> None:
        """At once, with whatever clients it has."""
        pid = self._pid()
        os.kill(pid, signal.SIGINT)
        eventually(lambda: gone(pid), within_s=PATIENCE_S, saying="postgres ended")
        if self._process:
            self._process.wait()
        self._pid_file.unlink(missing_ok=True)

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._argv,
            executable=self._program,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._pid_file.parent,
            **self._user,
        )
        eventually(self._answers, within_s=PATIENCE_S, saying="postgres answers")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.Error:
            return False
        return True

    def _pid(self) -> int:
        return int(self._pid_file.read_text().split("\n")[0])

    @property
    def runs(self) -> bool:
        return self._pid_file.exists()


def _user(owner: os.stat_result) -> dict[str, object]:
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


@contextmanager
def database() -> Iterator[Database]:
    with services.postgres_server() as url:
        found = Database(url)
        yield found
        if found.runs:
            found.stop()
