"""history: latencies, gathered by backend and written when a bucket is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pools.health.history import Buckets
from pools.health.probes import Result
from pools.models import Backend, LatencyBucket, Pool

pytestmark = pytest.mark.django_db

T = datetime(2030, 1, 1, 12, 3, tzinfo=UTC)
BEGINS = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


def took(ms, ok=True):
    return Result(ok=ok, reason="", latency_ms=ms)


@pytest.fixture
def backend():
    pool = Pool.objects.create(name="web")
    return Backend.objects.create(pool=pool, host="a", port=1)


def test_a_bucket_is_written_when_it_is_over(backend):
    buckets = Buckets()
    buckets.turn(T)
    for result in (took(2.0), took(4.0), took(500.0, ok=False)):
        buckets.add(backend.pk, result)
    buckets.turn(T + timedelta(minutes=6))
    assert not LatencyBucket.objects.exists()
    buckets.turn(T + timedelta(minutes=7))
    row = LatencyBucket.objects.get()
    assert (row.begins_at, row.probes, row.failures) == (BEGINS, 3, 1)
    assert (row.mean_ms, row.worst_ms) == (3.0, 4.0)


def test_where_none_passed_there_is_no_latency(backend):
    buckets = Buckets()
    buckets.turn(T)
    buckets.add(backend.pk, took(500.0, ok=False))
    buckets.write()
    row = LatencyBucket.objects.get()
    assert (row.probes, row.failures, row.mean_ms, row.worst_ms) == (1, 1, None, None)


def test_what_was_written_is_not_written_again(backend):
    buckets = Buckets()
    buckets.turn(T)
    buckets.add(backend.pk, took(2.0))
    buckets.write()
    buckets.write()
    assert LatencyBucket.objects.count() == 1


def test_backends_that_are_gone_are_left_out(backend):
    buckets = Buckets()
    buckets.turn(T)
    buckets.add(backend.pk, took(2.0))
    buckets.add(backend.pk + 1, took(2.0))
    buckets.write()
    assert LatencyBucket.objects.get().backend == backend
