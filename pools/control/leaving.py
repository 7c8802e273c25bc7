"""Waiting until a backend may be stopped: who follows the change, and what is still in flight.

Rules:
- A process has the change in force when it told of a revision as new; what it told with it
  holds for the backend.
- Who told nothing for GONE_AFTER_S, by the clock of who waits, counts as gone. So does who
  looked gone from the beginning and says nothing for a pulse: the database's clock may have
  been set.
- It is over when that held for HOLDS_S: a process that just began has told nothing yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pools.control import reports
from pools.control.processes import GONE_AFTER_S, PULSE_S, Told
from pools.control.reports import InFlight

HOLDS_S = 1.0
_SILENT_S = 2 * PULSE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is left, by names of processes: `behind` do not have the change in force, `silent`
    have not told of themselves for some time, `gone` stopped to do so while we waited."""

    behind: tuple[str, ...]
    in_flight: tuple[InFlight, ...]
    silent: tuple[str, ...]
    gone: tuple[str, ...]
    living: int

    @property
    def clear(self) -> bool:
        return not (self.behind or self.in_flight or self.silent)

    def words(self) -> str:
        """What is waited for, in a line; "": nothing."""
        parts = [
            f"{reports.counted(flying.requests, flying.tunnels)} in flight in {flying.process}"
            for flying in self.in_flight
        ]
        parts += [f"{name} does not have it in force yet" for name in self.behind]
        parts += [f"{name} has told nothing for some time" for name in self.silent]
        return "; ".join(parts)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "in_flight": [flying.plain() for flying in self.in_flight],
            "behind": list(self.behind),
            "silent": list(self.silent),
            "gone": list(self.gone),
            "processes": self.living,
        }


class Waiting:
    """For one backend, until processes have this revision in force and nothing in flight."""

    def __init__(
        self, key: str, revision: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._key = key
        self._revision = revision
        self._clock = clock
        # By process: when it was seen last, as it told; and when that was heard here.
        self._heard: dict[tuple[str, datetime], tuple[datetime, float]] = {}
        self._lived: set[str] = set()
        self._clear_since: float | None = None

    def look(self, processes: Sequence[Told]) -> Progress:
        """What is left, by what all processes that carry traffic told now."""
        now = self._clock()
        behind, silent, gone, there = [], [], [], []
        for told in processes:
            silent_s = now - self._heard_at(told, now)
            if told.living:
                self._lived.add(str(told))
            if silent_s >= GONE_AFTER_S or (not told.living and silent_s > PULSE_S):
                gone += [str(told)] if str(told) in self._lived else []
                continue
            there.append(told)
            if silent_s >= _SILENT_S or not told.living:
                silent.append(str(told))
            elif reports.revision(told) < self._revision:
                behind.append(str(told))
        progress = Progress(
            behind=tuple(behind),
            in_flight=tuple(reports.in_flight(there).get(self._key, ())),
            silent=tuple(silent),
            gone=tuple(gone),
            living=len(there),
        )
        if not progress.clear:
            self._clear_since = None
        elif self._clear_since is None:
            self._clear_since = now
        return progress

    @property
    def over(self) -> bool:
        """Whether nothing is left, and has not been for HOLDS_S."""
        return self._clear_since is not None and self._clock() - self._clear_since >= HOLDS_S

    def _heard_at(self, told: Told, now: float) -> float:
        who = str(told), told.started_at
        seen_at, heard_at = self._heard.get(who, (told.seen_at, now))
        if seen_at != told.seen_at:
            heard_at = now
        self._heard[who] = told.seen_at, heard_at
        return heard_at
