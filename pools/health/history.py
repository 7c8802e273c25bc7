"""Latencies of probes, gathered in memory and written in coarse buckets.

A bucket is written when it is over, a row for each backend and process: what was gathered
of it is lost when a worker is killed. `pools.control.past` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, transaction

from pools.control.past import BUCKET
from pools.health.probes import Result
from pools.models import Backend, LatencyBucket, PublishedState

_WRITTEN = 1000  # rows at a time


@dataclass(slots=True)
class _Gathered:
    probes: int = 0
    failures: int = 0
    sum_ms: float = 0.0
    worst_ms: float = 0.0


class Buckets:
    """The latencies of the current bucket, by backend. For one thread."""

    def __init__(self) -> None:
        self._begins_at: datetime | None = None
        self._gathered: dict[int, _Gathered] = {}

    def add(self, pk: int, result: Result) -> None:
        one = self._gathered.get(pk)
        if one is None:
            one = self._gathered[pk] = _Gathered()
        one.probes += 1
        if result.ok:
            one.sum_ms += result.latency_ms
            one.worst_ms = max(one.worst_ms, result.latency_ms)
        else:
            one.failures += 1

    def turn(self, now: datetime) -> None:
        """Write the bucket if it is over."""
        width_s = BUCKET.total_seconds()
        begins_at = datetime.fromtimestamp(now.timestamp() // width_s * width_s, UTC)
        if self._begins_at != begins_at:
            self.write()
            self._begins_at = begins_at

    def write(self) -> None:
        """Write what there is; backends that are gone by now are left out."""
        gathered, self._gathered = self._gathered, {}
        if not gathered or self._begins_at is None:
            return
        every = list(gathered)
        for start in range(0, len(every), _WRITTEN):
            wanted = every[start : start + _WRITTEN]
            there = Backend.objects.filter(pk__in=wanted).order_by()
            try:
                with transaction.atomic():
                    PublishedState.lock()  # or who deletes one of them now could not
                    pks = list(there.values_list("pk", flat=True))
                    LatencyBucket.objects.bulk_create(self._row(pk, gathered[pk]) for pk in pks)
            except IntegrityError:
                continue  # one was deleted meanwhile: these minutes are not worth more

    def _row(self, pk: int, one: _Gathered) -> LatencyBucket:
        assert self._begins_at
        passed = one.probes - one.failures
        return LatencyBucket(
            backend_id=pk,
            begins_at=self._begins_at,
            probes=one.probes,
            failures=one.failures,
            mean_ms=one.sum_ms / passed if passed else None,
            worst_ms=one.worst_ms if passed else None,
        )
