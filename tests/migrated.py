"""A database that is up to date, for processes that tests start.

All migrations take two seconds of a processor: SQLite's database is made once in a run of the
tests, and its file copied.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection

FOLDER = "MIGRATED"  # the environment's: where files are kept; without it none is


def migrate() -> None:
    """What `manage.py migrate` does to the default database."""
    file = Path(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or FOLDER not in os.environ or file.exists():
        call_command("migrate", verbosity=0)
        return
    apps = sha256(repr(settings.INSTALLED_APPS).encode()).hexdigest()
    kept = Path(os.environ[FOLDER], f"{apps}.sqlite3")
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            call_command("migrate", verbosity=0)
            connection.close()  # now all of it is in the file
            shutil.copyfile(file, kept.with_suffix(".new")).rename(kept)
            return
    shutil.copyfile(kept, file)
