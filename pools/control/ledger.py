"""The spans that one process is in, and those that wait to be written.

Rules:
- What a look found goes to the span in which most of its time lies, of each width; to an
  hour's by the minutes that are over.
- A span is written once it is over. The wide ones are written before, too, now and then:
  their rows are then replaced.
- No more wait than WAITING of each width, the newest, each as the rows that it becomes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import router, transaction

from pools.control.buckets import FINE_S, HOUR_S, MINUTES_S, Pause, Span
from pools.core.sums import Look
from pools.models import TrafficBucket

# As long as they could still be shown, and not more than some megabytes.
WAITING: Mapping[int, int] = {FINE_S: 90, MINUTES_S: 12, HOUR_S: 6}


@dataclass(slots=True)
class _Open:
    span: Span
    written: list[int] = field(default_factory=list)  # keys of the rows that hold it already


@dataclass(frozen=True, slots=True)
class _Over:
    rows: list[TrafficBucket]
    replaced: list[int]


class Ledger:
    """One process's, for one thread."""

    def __init__(self, pause: Pause) -> None:
        self._pause = pause
        self._open: dict[int, _Open] = {}
        self._over = {width_s: deque[_Over](maxlen=most) for width_s, most in WAITING.items()}

    def add(self, look: Look, connections: int, *, since: float, until: float) -> None:
        """Times are seconds since 1970."""
        for width_s in WAITING:
            span = self._span(width_s, since, until)
            if width_s < HOUR_S:
                span.add(
                    look, connections, until=until, took_s=until - since, pause=self._pause
                )
        for width_s in WAITING:
            if until >= self._open[width_s].span.begins_at + width_s:
                self._close(width_s)

    def _span(self, width_s: int, since: float, until: float) -> Span:
        begins_at = int((since + until) / 2 // width_s * width_s)
        one = self._open.get(width_s)
        if one is not None and one.span.begins_at != begins_at:
            self._close(width_s)
            one = None
        if one is None:
            one = self._open[width_s] = _Open(Span(width_s, begins_at, since))
        return one.span

    def close(self) -> None:
        """Nothing more comes."""
        for width_s in WAITING:
            if width_s in self._open:
                self._close(width_s)

    def write(self, *, wide: bool) -> None:
        """Write what is over; `wide`: and the wide spans as far as they are. Raises what the
        database does: then it is all still to be written."""
        over = [one for waiting in self._over.values() for one in waiting]
        going_on = [one for one in self._open.values() if one.span.width_s > FINE_S]
        growing = [(one, self._rows(one.span)) for one in going_on] if wide else []
        replaced = [key for one in over for key in one.replaced]
        replaced += [key for one, _ in growing for key in one.written]
        made = [row for one in over for row in one.rows]
        made += [row for _, rows in growing for row in rows]
        for row in made:
            row.pk = None  # it may have got one in a transaction that failed
        with transaction.atomic(using=router.db_for_write(TrafficBucket)):
            if replaced:
                TrafficBucket.objects.filter(pk__in=replaced).delete()
            TrafficBucket.objects.bulk_create(made)
        for waiting in self._over.values():
            waiting.clear()
        for one, rows in growing:
            one.written = [row.pk for row in rows]

    def _close(self, width_s: int) -> None:
        one = self._open.pop(width_s)
        if width_s == MINUTES_S:
            self._open[HOUR_S].span.absorb(one.span, self._pause)
        self._over[width_s].append(_Over(one.span.rows(self._pause), one.written))

    def _rows(self, span: Span) -> list[TrafficBucket]:
        """An hour's are with the minutes that go on."""
        minutes = self._open.get(MINUTES_S)
        if span.width_s == HOUR_S and minutes is not None:
            whole = Span(span.width_s, span.begins_at, span.since)
            for part in (span, minutes.span):
                whole.absorb(part, self._pause)
            span = whole
        return span.rows(self._pause)
