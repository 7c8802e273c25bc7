"""The one clock of a proxy's processes: the database's.

What processes on several machines write and compare (when a pool is due, when it was
probed) is told by it, so that a machine whose clock is off by a minute neither probes
twice nor takes fresh verdicts for stale ones. With SQLite it is the machine's own.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import connections, router
from django.db.models.functions import Now
from django.utils import timezone

from pools.models import PublishedState

# What a clock is set right by, all the time, is no jump.
JUMP = timedelta(seconds=2)


# For so long after a look, `now` goes on by itself.
_LOOKS_S = 1.0
_looked: tuple[datetime, float] | None = None


def ask() -> datetime:
    """The database's time. One query where it may be on another machine."""
    global _looked
    if connections[router.db_for_read(PublishedState)].vendor == "sqlite":
        return timezone.now()
    found = PublishedState.objects.annotate(now=Now()).values_list("now", flat=True).first()
    asked = found or timezone.now()
    _looked = asked, time.monotonic()
    return asked


def now() -> datetime:
    """The same, looked for once a second at most."""
    if _looked is not None:
        at, monotonic = _looked
        passed_s = time.monotonic() - monotonic
        if passed_s < _LOOKS_S:
            return at + timedelta(seconds=passed_s)
    return ask()


class Jumps:
    """Sees a clock that was set, by the seconds that passed meanwhile.

    Who judges by age how fresh something is must not take an hour that did not pass for
    age: `age` leaves the last jump out, of what was written before it.
    """

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self._jump = timedelta()
        self._before = datetime.min.replace(tzinfo=UTC)

    def look(self, now: datetime, since: float, until: float) -> timedelta:
        """Tell the clock, read between two moments of time.monotonic; how far it jumped
        since the last look. A reading that took long tells nothing."""
        last, self._last = self._last, (now, until)
        if until - since > JUMP.total_seconds() / 4:
            self._last = None
        if last is None or self._last is None:
            return timedelta()
        expected = last[0] + timedelta(seconds=until - last[1])
        if abs(now - expected) < JUMP:
            return timedelta()
        self._jump, self._before = now - expected, expected
        return self._jump

    def age(self, written: datetime, now: datetime) -> timedelta:
        """How long ago something was written; never below zero."""
        forward = self._jump > timedelta()
        if written <= self._before if forward else written > now:
            return max(now - written - self._jump, timedelta())
        return max(now - written, timedelta())
