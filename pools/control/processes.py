"""The processes of a proxy as rows: each tells of itself, and anybody may read of all.

Rules:
- A process writes its row every PULSE_S, and soon after its report changed. `started_at` and
  `seen_at` are the database's own time, and ages are by it: a machine whose clock is off
  looks no less alive.
- Who has told nothing for GONE_AFTER_S counts as gone. Who ends in good order takes its row
  along; rows of others go after KEEP_GONE, but for the newest of its kind, which says since
  when there is none.
- Telling never raises and holds nothing up. That it does not work is said once.

What is in a report is told in pools.control.reports (of gateway and web) and pools.ticking
(of worker and beat).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, connections, router
from django.db.models import Q
from django.db.models.functions import Now

from pools.models import Process
from pools.models.process import ProcessKind
from pools.outage import Outage

logger = logging.getLogger("pools.control")

PULSE_S = 5.0
GONE_AFTER_S = 3 * PULSE_S
KEEP_GONE = timedelta(hours=1)
TURN_S = 0.5  # changes are not written more often
TRAFFIC = (ProcessKind.GATEWAY, ProcessKind.WEB)

Report = dict[str, Any]

_LOCKED_MS = 250  # SQLite's other writers are waited for no longer; the next turn tries again
_STOP_S = 2.0


def own_name() -> str:
    """host:pid, by which this process is known."""
    return f"{socket.gethostname()}:{os.getpid()}"


# --- reading -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A process as it last told of itself, `age_s` ago."""

    kind: ProcessKind
    name: str
    started_at: datetime
    seen_at: datetime
    age_s: float
    report: Mapping[str, Any]

    @property
    def living(self) -> bool:
        """A time ahead of the database's is one from before its clock was set back: who
        lives corrects it with the next pulse."""
        return abs(self.age_s) < GONE_AFTER_S

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.kind.value,
            "name": self.name,
            "living": self.living,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "seen_at": self.seen_at.isoformat(timespec="seconds"),
            "report": self.report,
        }


def read(*kinds: ProcessKind) -> list[Told]:
    """All that have a row, of these kinds or of any, the gone among them; one query."""
    rows = Process.objects.annotate(now=Now()).order_by("kind", "name")
    rows = rows.filter(kind__in=kinds or tuple(ProcessKind))  # none of a newer version's own
    return [
        Told(
            kind=ProcessKind(row.kind),
            name=row.name,
            started_at=row.started_at,
            seen_at=row.seen_at,
            age_s=(row.now - row.seen_at).total_seconds(),
            report=row.report if isinstance(row.report, dict) else {},
        )
        for row in rows
    ]


def living(*kinds: ProcessKind) -> list[Told]:
    """Those that told of themselves lately; one query."""
    return [told for told in read(*kinds) if told.living]


def trim() -> None:
    """Remove the rows of those that are long gone, but for the newest of its kind."""
    old = Process.objects.filter(seen_at__lt=Now() - KEEP_GONE)
    if not old.exists():
        return
    newest = {told.kind: told for told in sorted(read(), key=lambda told: told.seen_at)}
    for told in newest.values():
        old = old.exclude(kind=told.kind, name=told.name)
    if old.exists():  # a delete of nothing, too, would make SQLite's other writers wait
        old.delete()


# --- telling -----------------------------------------------------------------------------


class Row:
    """This process's row of one kind. One thread uses it, with that thread's connection."""

    def __init__(self, kind: ProcessKind) -> None:
        self.kind = kind
        self.name = own_name()
        self._report: Report | None = None  # as it is in the table; None: nothing is
        self._told_at = self._tried_at = float("-inf")
        self._begun_at = time.monotonic()
        self._outage = Outage(
            logger,
            begun=f"this {kind} process cannot tell of itself",
            over=f"this {kind} process tells of itself again",
        )

    def tell(self, report: Report) -> None:
        """Write the report where it is another one, or a pulse is over. Call it each TURN_S."""
        now = time.monotonic()
        if report == self._report and now - self._told_at < PULSE_S:
            return
        if now - self._tried_at >= TURN_S / 2:
            self.write(report)

    def write(self, report: Report) -> bool:
        """Write it now; whether that went well."""
        now = self._tried_at = time.monotonic()
        try:
            with impatiently():
                self._write(report)
        except Error as error:
            if now - max(self._told_at, self._begun_at) >= 2 * PULSE_S:
                self._outage.begins(error)
        except Exception as error:  # what cannot be written as JSON
            self._outage.begins(error)
        else:
            self._report, self._told_at = report, now
            self._outage.over()
            return True
        return False

    def withdraw(self) -> None:
        """The process ends in good order. Rows of the gone of its kind go along: since when
        there is none would be wrong by them."""
        if self._report is None:
            return
        gone = Q(seen_at__lt=Now() - timedelta(seconds=GONE_AFTER_S))
        try:
            with impatiently():
                Process.objects.filter(Q(name=self.name) | gone, kind=self.kind.value).delete()
        except Error as error:
            logger.debug("the row of this process stays: %s", error)

    def _write(self, report: Report) -> None:
        values: dict[str, Any] = {"seen_at": Now()}
        if report != self._report:
            values["report"] = report
        if self._report is not None and self._rows.update(**values):
            return
        # A container that starts again may have the name of the one before.
        made = Process(
            kind=self.kind.value,
            name=self.name,
            started_at=Now(),
            seen_at=Now(),
            report=report,
        )
        Process.objects.bulk_create(
            [made],
            update_conflicts=True,
            unique_fields=["kind", "name"],
            update_fields=["started_at", "seen_at", "report"],
        )

    @property
    def _rows(self) -> Any:
        return Process.objects.filter(kind=self.kind.value, name=self.name)


class Teller:
    """Tells of a process that has no thread to do it; `report` is called in one of its own.

    Start it in the process that it is to tell of: a thread does not survive a fork.
    """

    def __init__(self, kind: ProcessKind, report: Callable[[], Report]) -> None:
        self._kind = kind
        self._report = report
        self._stopping = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tell-{kind}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def changed(self) -> None:
        """The report is another one: write it soon. Thread-safe."""
        self._woken.set()

    def stop(self) -> None:
        """Withdraw, if that is done soon."""
        self._stopping = True
        self._woken.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        row = Row(self._kind)
        try:
            while not self._stopping:
                self._woken.clear()
                try:
                    if not row.write(self._report()):
                        connections.close_all()  # the next try connects anew
                except Exception:  # of who makes the report
                    logger.exception("telling of this %s", self._kind)
                if self._woken.wait(PULSE_S) and not self._stopping:
                    time.sleep(TURN_S)  # what else changes goes along
            row.withdraw()
        finally:
            connections.close_all()  # this thread's


@contextmanager
def impatiently() -> Iterator[None]:
    """Within, SQLite gives up on a lock soon: whoever tells has other things to do."""
    connection = connections[router.db_for_write(Process)]
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    raw = connection.connection  # Django's cursor refuses what follows on a failure
    (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute(f"PRAGMA busy_timeout = {_LOCKED_MS}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {int(before)}")
