"""Rows of a console's database, written as other processes would while somebody looks on."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

from pools.control import buckets
from pools.core.counters import bucket
from pools.core.sums import Sums

NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
WRITER = "a-gateway"
MINUTE_S = 60


class Rows:
    """The database of the console with this data folder; SQLite's, and without Django, which
    refuses it beside a browser."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "proxysite.sqlite3"

    def write(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self._file, timeout=10)
        with connection:
            connection.execute(statement, values)
        connection.close()

    def carries(self, requests_per_s: int, backend: str) -> None:
        """A process that carried so much in the last minute, all to one backend."""
        sums = Sums()
        sums.requests = requests_per_s * MINUTE_S
        sums.latency = {bucket(0.004): sums.requests}
        now, name = time.time(), backend.partition("/")[0]
        whole = {
            "seen_at": now,
            "took_s": MINUTE_S,
            "connections": 7,
            "in_flight": {backend: 3},
            "total": sums.packed(),
        }
        named = {f"{kind}:{key}": sums.packed() for kind, key in self._names(name, backend)}
        packed = buckets.pack([whole, named])
        self.write(
            "INSERT OR REPLACE INTO pools_trafficnow VALUES (?, ?, ?)", WRITER, now, packed
        )

    def carries_nothing(self) -> None:
        self.write("DELETE FROM pools_trafficnow WHERE writer = ?", WRITER)

    def finds(self, backend: int, verdict: str, reason: str) -> None:
        """A round of probes that found the backend so."""
        self.write(
            f"UPDATE pools_backendhealth SET verdict = ?, reason = ?, since = {NOW}, "
            f"changed_at = {NOW} WHERE backend_id = ?",
            *(verdict, reason, backend),
        )

    def runs(self, kind: str, name: str, **report: object) -> None:
        """A process that tells of itself now."""
        self.write(
            "INSERT OR REPLACE INTO pools_process (kind, name, started_at, seen_at, report) "
            f"VALUES (?, ?, {NOW}, {NOW}, ?)",
            *(kind, name, json.dumps(report)),
        )

    def ends(self, name: str) -> None:
        self.write("DELETE FROM pools_process WHERE name = ?", name)

    @staticmethod
    def _names(pool: str, backend: str) -> tuple[tuple[str, str], ...]:
        return (("pool", pool), ("backend", backend))
