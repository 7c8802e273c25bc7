"""What must hold before anything is started: each trouble is one line, and nothing runs.

In this order: the data folder is ours alone, the addresses are free, the database answers
and has its tables, somebody can log in.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import Error, connection, connections

from pools.control import clock
from pools.core.errors import PoolsError
from pools.health import worker

LOCK = "serve.lock"
ADMIN = "admin"


class Refused(PoolsError):
    """Serving cannot start; the message is one line with the mend."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who may log in. A password that was made up is known here alone; it is empty for
    a user who was there already, and both are where no administrator is left."""

    name: str = ""
    password: str = ""


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the process outright: Python's own handler has to wait until SQLite or
    libpq come back, which takes as long as another process keeps a lock."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def lock(data_dir: Path) -> IO[str]:
    """The data folder for this process alone, as long as the file is open."""
    file = (data_dir / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with closing(file):
            file.seek(0)
            other = file.read().strip() or "unknown"
        raise Refused(
            f"process {other} serves from {data_dir} already: end it, or set another DATA_DIR"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def database() -> None:
    """Connect, and bring the tables up to date."""
    try:
        connection.ensure_connection()
        call_command("migrate", verbosity=0, interactive=False)
    except Error as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"the database cannot be used: {reason} (see DATABASE_URL)") from None


def login() -> Login:
    """An administrator; where there is no user yet, one with a made-up password."""
    users = get_user_model()._default_manager
    if users.exists():
        first = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
        return Login(first.get_username()) if first else Login()
    made = Login(ADMIN, secrets.token_urlsafe(12))
    users.create_superuser(made.name, "", made.password)
    return made


def forget_messages(folder: Path) -> None:
    """Empty the file broker: what an earlier run left there is out of date."""
    shutil.rmtree(folder, ignore_errors=True)


def first_round(*, within_s: float) -> None:
    """Probe what is due, so that the first request meets backends that are known.

    Not longer than `within_s`: unknown backends are selectable too.
    """

    def probe() -> None:
        try:
            worker.run_due(clock.now())
        finally:
            connections.close_all()

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(within_s)
