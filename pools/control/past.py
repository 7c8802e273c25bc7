"""What is known of a backend's past: how long it was up, and what its probes took.

Uptime is told by the events of verdicts, without the gaps in which nobody probed: what is
not known counts neither as up nor as down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Max, Sum

from pools import conf
from pools.control import verdicts
from pools.core.probing import Verdict
from pools.models import Backend, HealthEvent, LatencyBucket, ProbeGap

BUCKET = timedelta(minutes=10)  # of latencies
WINDOWS: Mapping[str, timedelta] = {
    "1 h": timedelta(hours=1),
    "24 h": timedelta(days=1),
    "30 d": timedelta(days=30),
}

_Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """Of a window: the seconds in which the verdict is known, and those of them up."""

    known_s: float
    up_s: float

    @property
    def share(self) -> float | None:
        """0 to 1; None: nothing is known."""
        return self.up_s / self.known_s if self.known_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A verdict and the time in which it held."""

    verdict: Verdict
    begins_at: datetime
    ends_at: datetime

    @property
    def lasts(self) -> timedelta:
        return self.ends_at - self.begins_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of probes in a span of time; None where none passed."""

    begins_at: datetime
    probes: int
    failures: int
    mean_ms: float | None
    worst_ms: float | None


def uptimes(backends: Collection[int], now: datetime) -> dict[int, dict[str, Uptime]]:
    """By backend's id and window (WINDOWS); three queries, whatever the number."""
    since = now - max(WINDOWS.values())
    return {
        pk: {name: _uptime(spans, gaps, now - window) for name, window in WINDOWS.items()}
        for pk, spans, gaps in _histories(backends, since, now)
    }


def spans(backend: int, window: timedelta, now: datetime) -> list[Span]:
    """The verdicts on a backend in the window that ends now, without holes and in order; three
    queries. Unknown is what nobody probed."""
    since = now - window
    found: list[Span] = []
    for _, known, gaps in _histories([backend], since, now):
        for verdict, (begins_at, ends_at) in known:
            _append(found, Verdict.UNKNOWN, since, begins_at)
            cut = sorted(gap for gap in gaps if _shared_s(gap, (begins_at, ends_at)))
            for gap in cut:
                _append(found, Verdict(verdict), since, min(gap[0], ends_at))
                _append(found, Verdict.UNKNOWN, since, min(gap[1], ends_at))
            _append(found, Verdict(verdict), since, ends_at)
    _append(found, Verdict.UNKNOWN, since, now)
    return found


def _append(found: list[Span], verdict: Verdict, since: datetime, until: datetime) -> None:
    """Go on from the last span's end, or `since`, with a verdict until then."""
    begins_at = found[-1].ends_at if found else since
    if until <= begins_at:
        return
    if found and found[-1].verdict is verdict:
        begins_at = found.pop().begins_at
    found.append(Span(verdict=verdict, begins_at=begins_at, ends_at=until))


def _histories(
    backends: Collection[int], since: datetime, now: datetime
) -> Iterator[tuple[int, list[tuple[str, _Span]], list[_Span]]]:
    """Of each backend its id, its verdicts as far as they were news, and the gaps in them."""
    events: dict[int, list[tuple[datetime, str, str]]] = defaultdict(list)
    for pk, at, old, new in (
        HealthEvent.objects.filter(backend__in=backends, at__gt=since)
        .order_by("at", "pk")
        .values_list("backend", "at", "old", "new")
    ):
        events[pk].append((at, old, new))
    gaps: dict[int, list[_Span]] = defaultdict(list)
    for pool, begins_at, ends_at in (
        ProbeGap.objects.filter(pool__backends__in=backends, ends_at__gt=since)
        .values_list("pool", "begins_at", "ends_at")
        .distinct()
    ):
        gaps[pool].append((begins_at, ends_at))
    rows = Backend.objects.filter(pk__in=backends).values_list(
        *("pk", "pool", "health__verdict", "health__since"),
        *("pool__schedule__done_at", "pool__probe_interval_s"),
    )
    for pk, pool, verdict, turned_at, done_at, interval_s in rows.order_by():
        until = min(now, verdicts.stale_at(done_at, interval_s)) if done_at else since
        begin = since if events[pk] else max(since, turned_at or until)
        known = list(_spans(events[pk], verdict or Verdict.UNKNOWN, begin, until))
        yield pk, known, gaps[pool]


def latencies(backend: int, since: datetime) -> list[Latency]:
    """The buckets of a backend from `since` on, those of all workers together."""
    buckets = (
        LatencyBucket.objects.filter(backend=backend, begins_at__gte=since)
        .values("begins_at")
        .annotate(
            all=Sum("probes"),
            failed=Sum("failures"),
            total_ms=Sum(F("mean_ms") * (F("probes") - F("failures"))),
            worst=Max("worst_ms"),
        )
        .order_by("begins_at")
    )
    return [
        Latency(
            begins_at=one["begins_at"],
            probes=one["all"],
            failures=one["failed"],
            mean_ms=one["total_ms"] / (one["all"] - one["failed"])
            if one["all"] > one["failed"]
            else None,
            worst_ms=one["worst"],
        )
        for one in buckets
    ]


def _spans(
    events: Sequence[tuple[datetime, str, str]],
    verdict: str,
    since: datetime,
    until: datetime,
) -> Iterator[tuple[str, _Span]]:
    """The verdicts from `since` to `until`, each with its time."""
    if len(events) >= conf.current().keep_events:
        # Older ones may have been trimmed: nothing is known of the time before.
        since = events[0][0]
    begins_at = since
    for at, old, _ in events:
        yield old, (begins_at, min(at, until))
        begins_at = at
    yield verdict, (begins_at, until)


def _uptime(
    spans: Iterable[tuple[str, _Span]], gaps: Collection[_Span], since: datetime
) -> Uptime:
    known_s = {Verdict.UP.value: 0.0, Verdict.DOWN.value: 0.0}
    for verdict, (begins_at, ends_at) in spans:
        span = max(begins_at, since), ends_at
        if verdict in known_s and span[0] < span[1]:
            lost_s = sum(_shared_s(span, gap) for gap in gaps)
            known_s[verdict] += max(0.0, (span[1] - span[0]).total_seconds() - lost_s)
    return Uptime(known_s=sum(known_s.values()), up_s=known_s[Verdict.UP.value])


def _shared_s(one: _Span, other: _Span) -> float:
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0.0, shared.total_seconds())
