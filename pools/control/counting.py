"""What this process carries, looked at and written down every few seconds.

    the watcher's thread ──> Tally.look ──> Ledger (spans of time) ──> rows
                                       └──> the last minute ──> its row, for `figures.latest`

Rules:
- Nothing of it is done by who serves requests. Its thread rests between a few names and the
  next, as all threads of a process take turns.
- A look comes at each FINE_S of the clock, the database's. While that is away it goes on by
  the machine's seconds; what was counted before it was ever there is found by the first look.
- A process that is killed takes along what came since the last look, and of wide spans what
  came since the last WIDE_EACH_S.
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from secrets import token_hex
from typing import Any

from django.db import Error

from pools.control import buckets, clock
from pools.control.buckets import FINE_S, Packed, Pause
from pools.control.ledger import Ledger
from pools.control.processes import impatiently
from pools.core.counters import Counters
from pools.core.engine import Engine
from pools.core.sums import Look, Tally, kind_of, paused
from pools.models import TrafficNow
from pools.outage import Outage

logger = logging.getLogger("pools.control")

WIDE_EACH_S = 60.0
NOW_LOOKS = 6  # a minute
AGAIN_S = 1.0
SAID_AFTER_S = 60.0
REST_S = 0.001


def _nothing(engine: Engine) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Source:
    """Who counts in this process. `connections`: how many are open now. `tidy` is called each
    minute, to drop what the engine has no more."""

    counters: Counters
    connections: Callable[[], int]
    tidy: Callable[[Engine], None] = _nothing


_source: Source | None = None


def count_from(source: Source | None) -> None:
    """This process carries traffic, and here it is counted; None: it does not."""
    global _source
    _source = source


def _forget() -> None:
    """In a forked child: what the parent carries is the parent's to write."""
    count_from(None)


os.register_at_fork(after_in_child=_forget)


def rest() -> None:
    time.sleep(REST_S)


class Counting:
    """One process's, for one thread."""

    def __init__(self, pause: Pause = rest) -> None:
        self._pause = pause
        self._ledger = Ledger(pause)
        self._writer = token_hex(16)
        self._source = _source
        # What was counted until now is another's to write.
        self._tally = Tally(_source.counters, known=True) if _source else None
        self._looked_at = self._look_due = time.monotonic()
        self._clock: tuple[float, float] | None = None  # of the database, and of monotonic
        self._last: deque[tuple[Look, float]] = deque()  # NOW_LOOKS, each with its seconds
        self._minute = Look()  # their sum
        self._gauges: dict[str, Any] = {}
        self._unwritten = False
        self._written_at, self._write_due = self._looked_at, 0.0
        self._wide_due = self._looked_at + WIDE_EACH_S
        self._outage = Outage(
            logger,
            begun="what this process carries cannot be written down yet",
            over="what this process carries is written down again",
        )

    def turn(self, engine: Engine, *, database: bool) -> None:
        """Called each half second or so; `database`: it answered a moment ago. Never raises."""
        try:
            self._turn(engine, database)
        except Exception as error:  # traffic goes on, whatever it is
            tick = time.monotonic()
            self._write_due = tick + AGAIN_S
            # SQLite's other writers may be in the way for a while.
            if not isinstance(error, Error) or tick - self._written_at > SAID_AFTER_S:
                logger.debug("counting", exc_info=True)
                self._outage.begins(error)

    def end(self, engine: Engine) -> None:
        """The process ends in good order: write what there is."""
        if self._tally is None:
            return
        try:
            now = self._time(database=True)
            if now is not None:
                self._look(self._tally, engine, now)
            self._ledger.close()
            with impatiently():
                self._ledger.write(wide=True)
                TrafficNow.objects.filter(pk=self._writer).delete()
        except Exception as error:
            logger.debug("the last figures of this process are not written: %s", error)

    def _turn(self, engine: Engine, database: bool) -> None:
        self._follow()
        tick = time.monotonic()
        if self._tally is None or self._source is None:
            return
        if tick >= self._look_due:
            now = self._time(database)
            if now is None:
                return
            self._look_due = tick + FINE_S - now % FINE_S
            self._look(self._tally, engine, now)
            self._unwritten, self._write_due = True, tick
        if self._unwritten and database and tick >= self._write_due:
            self._write(tick, engine, self._source)

    def _follow(self) -> None:
        """Who counts may come later than this, or be another by now."""
        if self._source is not _source:
            self._source = _source
            self._tally = Tally(_source.counters) if _source else None
            self._looked_at = self._look_due = time.monotonic()

    def _time(self, database: bool) -> float | None:
        """Seconds since 1970; None: nobody knows."""
        if database:
            self._clock = clock.ask().timestamp(), time.monotonic()
        if self._clock is None:
            return None
        at, tick = self._clock
        return at + time.monotonic() - tick

    def _look(self, tally: Tally, engine: Engine, now: float) -> None:
        tick = time.monotonic()
        took_s, self._looked_at = tick - self._looked_at, tick
        look = tally.look(self._pause)
        connections = self._source.connections() if self._source else 0
        self._gauges = {
            "seen_at": now,
            "connections": connections,
            "in_flight": engine.in_flight(),
        }
        self._remember(look, took_s)
        self._ledger.add(look, connections, since=now - took_s, until=now)

    def _write(self, tick: float, engine: Engine, source: Source) -> None:
        wide = tick >= self._wide_due
        last_minute = self._last_minute()
        with impatiently():
            self._ledger.write(wide=wide)
            TrafficNow.objects.bulk_create(
                [last_minute],
                update_conflicts=True,
                unique_fields=["writer"],
                update_fields=["seen_at", "packed"],
            )
            if wide:
                buckets.trim(last_minute.seen_at)
        self._unwritten, self._written_at = False, tick
        self._outage.over()
        if wide:
            self._wide_due = tick + WIDE_EACH_S
            source.tidy(engine)

    def _remember(self, look: Look, took_s: float) -> None:
        minute = self._minute
        if len(self._last) == NOW_LOOKS:
            old, _ = self._last.popleft()
            minute.total.take(old.total)
            for name, sums in paused(old.named.items(), self._pause):
                minute.take(name, sums)
        self._last.append((look, took_s))
        minute.total.add(look.total)
        for name, sums in paused(look.named.items(), self._pause):
            minute.add(name, sums)

    def _last_minute(self) -> TrafficNow:
        """The last looks as one, not saved."""
        minute, seen_at = self._minute, self._gauges["seen_at"]
        took_s = sum(seconds for _, seconds in self._last)
        whole = {**self._gauges, "took_s": round(took_s, 2), "total": minute.total.packed()}
        kinds: dict[str, dict[str, Packed]] = defaultdict(dict)  # a line has one kind alone
        for name, sums in paused(minute.named.items(), self._pause):
            kinds[kind_of(name)][name] = sums.packed()
        lines = (buckets.lines(entries, self._pause) for entries in kinds.values())
        packed = buckets.pack([whole, *chain.from_iterable(lines)])
        return TrafficNow(writer=self._writer, seen_at=seen_at, packed=packed)
