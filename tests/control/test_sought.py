"""What the database finds is what is shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pools.control import clock, readings, sought
from pools.control.sought import Tally
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows() -> None:
    """Pools probed at intervals of their own, lately, long ago and never; and one that is
    not probed. In each a backend in every state and of every verdict."""
    now = clock.now()
    for name, kind, interval_s, age_s in (
        ("fresh", "http", 5.0, 14.0),
        ("stale", "http", 5.0, 16.0),
        ("slow", "tcp", 30.0, 80.0),
        ("never", "http", 5.0, None),
        ("off", "off", 5.0, 1.0),
    ):
        pool = Pool.objects.create(name=name, probe_kind=kind, probe_interval_s=interval_s)
        if age_s is not None:
            done_at = now - timedelta(seconds=age_s)
            ProbeSchedule.objects.create(pool=pool, next_at=now, done_at=done_at)
        for state in ("ready", "drain", "maint"):
            for verdict in ("up", "down", "unknown", ""):
                host = f"{state}.{verdict or 'none'}"
                backend = pool.backends.create(host=host, port=80, state=state)
                if verdict:
                    BackendHealth.objects.create(backend=backend, verdict=verdict)


def test_a_verdict_is_found_as_it_is_read(rows):
    now = clock.now()
    found = Backend.objects.select_related("pool", *readings.WITH)
    for backend in found.annotate(shown=sought.verdict(now)):
        assert backend.shown == readings.read(backend, now).verdict, backend.key


def test_backends_are_counted_by_pool(rows, django_assert_num_queries):
    pools = {pool.name: pool.pk for pool in Pool.objects.all()}
    Pool.objects.create(name="empty")
    with django_assert_num_queries(2):
        found = sought.tallies(list(pools.values()), clock.now())
    told = {name: found[pk] for name, pk in pools.items()}
    unknown = Tally(total=12, up=0, unknown=12)
    half = Tally(total=12, up=2, unknown=8)
    assert told == {
        "fresh": half,
        "slow": half,
        "stale": unknown,
        "never": unknown,
        "off": unknown,
    }


def test_without_pools_nothing_is_found():
    assert list(Backend.objects.annotate(shown=sought.verdict(clock.now()))) == []
    assert sought.tallies([], clock.now()) == {}
