"""What a process that carries traffic tells of itself, and hears of those that probe.

It belongs to the watcher's thread (pools.control.watch), which has a connection already.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from django.db import Error

from pools.control import components, processes, reports
from pools.control.reports import Certificates
from pools.core.engine import Engine
from pools.models.process import ProcessKind

logger = logging.getLogger("pools.control")

_UNKNOWN = {"ok": None, "why": "beat and workers were not read of yet"}
_AWAY = {"ok": None, "why": "the database is away: nothing is known of beat and workers"}


class Telling:
    """`probing`: whether anybody probes, as last read; another thread may look at it."""

    def __init__(
        self,
        kind: ProcessKind,
        certificates: Certificates | None = None,
        listens: Sequence[str] = (),
    ) -> None:
        self.probing: dict[str, Any] = _UNKNOWN
        self._row = processes.Row(kind)
        self._certificates = certificates
        self._listens = list(listens)
        self._report: processes.Report = {}
        self.took: tuple[int, float] | None = None  # see reports.of
        self._read_at = 0.0
        self._failed = ""

    def turn(self, engine: Engine, *, database: bool) -> None:
        """Called each TURN_S; `database`: it answered a moment ago. Never raises."""
        if not database:
            self.probing = _AWAY
            return
        try:
            self._report = reports.of(engine, self._report, self._certificates, self.took)
            if self._listens:
                self._report["listens"] = self._listens
            self._row.tell(self._report)
            self._hear()
        except Error as error:
            logger.debug("processes cannot be read: %s", error)  # the next look says it
        except Exception as error:  # traffic goes on, whatever it is
            before, self._failed = self._failed, repr(error)
            if before != self._failed:
                logger.exception("telling of this process")

    def end(self) -> None:
        """The process ends in good order."""
        self._row.withdraw()

    def _hear(self) -> None:
        now = time.monotonic()
        if now < self._read_at:
            return
        self._read_at = now + processes.PULSE_S
        told = processes.read(ProcessKind.BEAT, ProcessKind.WORKER)
        self.probing = components.probing(told)
