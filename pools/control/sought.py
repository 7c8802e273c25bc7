"""Verdicts as the database finds them: rows are filtered, sorted and counted by what is shown
of them, without being read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, CharField, Count, F, Q, Value, When

from pools.control import verdicts
from pools.core.document import AdminState, ProbeKind
from pools.core.probing import Verdict
from pools.models import Backend, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Of a pool's backends."""

    total: int = 0
    up: int = 0
    unknown: int = 0


def verdict(now: datetime) -> Case:
    """Of each row of a query of backends, as `readings.read` tells it at `now`.

    One query, for the intervals that there are: how long verdicts hold depends on them, and
    databases add a number of seconds to a time each in its own way.
    """
    fresh = Q(pk__in=())
    intervals = Pool.objects.order_by().values_list("probe_interval_s", flat=True).distinct()
    for interval_s in intervals:
        fresh |= Q(
            pool__probe_interval_s=interval_s,
            pool__schedule__done_at__gt=now - verdicts.fresh_for(interval_s),
        )
    holds = (
        fresh
        & ~Q(state=AdminState.MAINT)
        & ~Q(pool__probe_kind=ProbeKind.OFF)
        & Q(health__isnull=False)
    )
    return Case(
        When(holds, then=F("health__verdict")),
        default=Value(Verdict.UNKNOWN.value),
        output_field=CharField(),
    )


def tallies(pools: Collection[int], now: datetime) -> dict[int, Tally]:
    """By pool's id, of those that have backends; two queries."""
    rows = (
        Backend.objects.filter(pool__in=pools)
        .order_by()
        .annotate(shown=verdict(now))
        .values("pool")
        .annotate(
            total=Count("pk"),
            up=Count("pk", filter=Q(shown=Verdict.UP)),
            unknown=Count("pk", filter=Q(shown=Verdict.UNKNOWN)),
        )
    )
    return {
        row["pool"]: Tally(total=row["total"], up=row["up"], unknown=row["unknown"])
        for row in rows
    }
