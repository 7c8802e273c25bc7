"""What the prober's database says, read past Django: it is another process's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg


class Book:
    """Of a PostgreSQL by its URL, or of the SQLite in a data folder."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self._folder, self._url = folder, url

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self._url:
            with psycopg.connect(self._url) as connection:
                return connection.execute(query).fetchall()
        path = self._folder / "proxysite.sqlite3"
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            return connection.execute(query).fetchall()

    def verdicts(self) -> dict[int, str]:
        """By the backend's port."""
        return dict(
            self.rows(
                "SELECT b.port, h.verdict FROM pools_backendhealth h "
                "JOIN pools_backend b ON b.id = h.backend_id"
            )
        )

    def events(self) -> list[tuple[int, str, str]]:
        """Port, from and to, in order."""
        return self.rows(
            "SELECT b.port, e.old, e.new FROM pools_healthevent e "
            "JOIN pools_backend b ON b.id = e.backend_id ORDER BY e.id"
        )

    def failures(self) -> int:
        """The most in a row of any backend."""
        found: int = self.rows("SELECT max(failures) FROM pools_backendhealth")[0][0]
        return found

    def ended(self) -> Any:
        """When the last round ended; grows with each."""
        return self.rows("SELECT max(done_at) FROM pools_probeschedule")[0][0]

    def gaps_s(self) -> list[float]:
        """How long each time was in which nobody probed."""
        found = self.rows("SELECT begins_at, ends_at FROM pools_probegap ORDER BY id")
        return [
            (_time(ends_at) - _time(begins_at)).total_seconds() for begins_at, ends_at in found
        ]


def _time(value: Any) -> datetime:
    """SQLite keeps it as text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
