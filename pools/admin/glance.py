"""What a row of a list shows beside its own columns, read once for all rows of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet, Window
from django.db.models.functions import RowNumber

from pools.admin import traffic
from pools.control import clock, figures, past, readings, sought
from pools.control.figures import Rates
from pools.control.past import Uptime
from pools.control.sought import Tally
from pools.models import Alert, Backend, LatencyBucket, Pool, Route

DAY = "24 h"  # of past.WINDOWS
_MEASURED = timedelta(minutes=30)  # a mean that is older says nothing of now


@dataclass(frozen=True, slots=True, kw_only=True)
class OfBackend:
    """`rates` None: it carried nothing lately. `latency_ms`: the mean of its last probes, or
    of the one that last changed something."""

    rates: Rates | None
    reading: readings.Reading
    uptime: Uptime | None
    latency_ms: float | None
    probed_at: datetime | None
    seen: traffic.Seen
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OfPool:
    rates: Rates | None
    tally: Tally
    routes: Sequence[Route]
    routes_more: int
    alerts: int
    seen: traffic.Seen


ROUTES_SHOWN = 3


def backends(rows: Sequence[Backend]) -> None:
    """Give each its glance; the rows bring what readings.WITH names."""
    now = clock.now()
    seen, rates = traffic.Seen(), figures.latest().backends
    uptimes = past.uptimes([row.pk for row in rows], now)
    means = _means([row.pk for row in rows], now)
    for row in rows:
        health = getattr(row, "health", None)
        reading = readings.read(row, now)
        measured = means.get(row.pk, health.latency_ms if health else None)
        schedule = getattr(row.pool, "schedule", None)
        vars(row)["glance"] = OfBackend(
            rates=rates.get(row.key),
            reading=reading,
            uptime=uptimes[row.pk][DAY] if row.pk in uptimes else None,
            latency_ms=measured if reading.since else None,
            probed_at=schedule.done_at if schedule and reading.since else None,
            seen=seen,
            now=now,
        )


def pools(rows: Sequence[Pool], led: QuerySet[Route] | None = None) -> None:
    """Give each its glance. `led`: the rules that its reader may see."""
    led = Route.objects.all() if led is None else led
    keys = [row.pk for row in rows]
    seen, rates = traffic.Seen(), figures.latest().pools
    tallies = sought.tallies(keys, clock.now())
    routes = _routes(keys, led)
    counts = Counter(
        dict(
            led.filter(pool__in=keys)
            .order_by()
            .values_list("pool")
            .annotate(number=Count("pk"))
        )
    )
    open_alerts = Alert.objects.filter(ended_at=None, pool__in=[row.name for row in rows])
    alerts = dict(open_alerts.order_by().values_list("pool").annotate(number=Count("pk")))
    for row in rows:
        shown = routes.get(row.pk, [])
        vars(row)["glance"] = OfPool(
            rates=rates.get(row.name),
            tally=tallies.get(row.pk, Tally()),
            routes=shown,
            routes_more=counts[row.pk] - len(shown),
            alerts=alerts.get(row.name, 0),
            seen=seen,
        )


def of_backend(row: Backend) -> OfBackend:
    """Its glance, read now where it is not one of a page's."""
    if "glance" not in vars(row):
        backends([row])
    found: OfBackend = vars(row)["glance"]
    return found


def of_pool(row: Pool) -> OfPool:
    if "glance" not in vars(row):
        pools([row])
    found: OfPool = vars(row)["glance"]
    return found


def rates(row: Backend | Pool) -> Rates | None:
    return (of_backend(row) if isinstance(row, Backend) else of_pool(row)).rates


def _means(keys: Iterable[int], now: datetime) -> dict[int, float]:
    """The newest means of probes that passed, by backend."""
    buckets = LatencyBucket.objects.filter(
        backend__in=keys, begins_at__gte=now - _MEASURED, mean_ms__isnull=False
    )
    rows = buckets.order_by("begins_at").values_list("backend", "mean_ms")
    return {backend: mean for backend, mean in rows if mean is not None}


def _routes(pools: Iterable[int], led: QuerySet[Route]) -> dict[int, list[Route]]:
    """The first few of each pool, by name; of a thousand only these are read."""
    place = Window(RowNumber(), partition_by="pool_id", order_by="name")
    rows = led.filter(pool__in=pools).annotate(place=place)
    found: dict[int, list[Route]] = {}
    for row in rows.filter(place__lte=ROUTES_SHOWN).only("pool", "name", "enabled"):
        found.setdefault(row.pool_id, []).append(row)
    return found
