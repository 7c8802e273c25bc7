"""Processes that count, in a time that passes when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from pools.control import counting
from pools.control.buckets import FINE_S
from pools.control.counting import Counting, Source
from pools.core.counters import Counters, bucket
from pools.core.engine import Engine

BEGIN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Time:
    """The machine's seconds, and the database's clock."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.wall = BEGIN

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += timedelta(seconds=seconds)


class Process:
    """One that counts."""

    def __init__(self, time: Time, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()
        self.connections = 0
        self.engine = Engine(clock=lambda: time.monotonic, random=Random(1))
        self._source = Source(self.counters, lambda: self.connections, self._tidy)
        self.tidied = 0
        counting.count_from(None)
        self.counting = Counting(pause=bool)

    def _tidy(self, engine: Engine) -> None:
        self.tidied += 1

    def carries(self, requests=1, *, backend="web/a:80", status=200, seconds=0.01):
        for traffic in (self.counters.backend(backend), self.counters.route("shop")):
            for _ in range(requests):
                traffic.count(status // 100, 3, 5, bucket(seconds))

    def turn(self, database=True):
        counting.count_from(self._source)
        self.counting.turn(self.engine, database=database)

    def end(self):
        counting.count_from(self._source)
        self.counting.end(self.engine)


def go_on(process, time, seconds, *, step_s=FINE_S, requests=1):
    """Turns as its watcher's thread would make them."""
    for _ in range(int(seconds / step_s)):
        process.carries(requests)
        time.passes(step_s)
        process.turn()
