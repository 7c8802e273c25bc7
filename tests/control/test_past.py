"""past: uptime by events, without what is not known; latencies of all workers together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pools.control import past
from pools.models import (
    Backend,
    BackendHealth,
    HealthEvent,
    LatencyBucket,
    Pool,
    ProbeGap,
    ProbeSchedule,
)

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def ago(**span):
    return NOW - timedelta(**span)


def make(verdict="up", *events, done_at=NOW, name="web"):
    """A backend with this verdict and these events: when, from, to."""
    pool = Pool.objects.create(name=name, probe_interval_s=5)
    backend = Backend.objects.create(pool=pool, host="a", port=1)
    since = events[-1][0] if events else None
    BackendHealth.objects.create(backend=backend, verdict=verdict, since=since)
    ProbeSchedule.objects.create(pool=pool, next_at=NOW, done_at=done_at)
    for at, old, new in events:
        HealthEvent.objects.create(backend=backend, at=at, old=old, new=new)
    return backend


def told(backend):
    """Per window: seconds known and up."""
    found = past.uptimes([backend.pk], NOW)[backend.pk]
    return {name: (round(one.known_s), round(one.up_s)) for name, one in found.items()}


def test_up_all_the_time_since_long_ago():
    backend = make("up", (ago(days=60), "unknown", "up"))
    day = 86_400
    assert told(backend) == {
        "1 h": (3600, 3600),
        "24 h": (day, day),
        "30 d": (30 * day, 30 * day),
    }


def test_down_for_six_minutes_of_an_hour():
    events = (ago(days=60), "unknown", "up"), (ago(minutes=20), "up", "down")
    backend = make("up", *events, (ago(minutes=14), "down", "up"))
    assert told(backend)["1 h"] == (3600, 3600 - 360)
    share = past.uptimes([backend.pk], NOW)[backend.pk]["1 h"].share
    assert share == pytest.approx(0.9)


def test_before_the_first_probe_nothing_is_known():
    backend = make("up", (ago(minutes=30), "unknown", "up"))
    assert told(backend)["24 h"] == (1800, 1800)


def test_a_backend_that_was_never_probed_has_no_share():
    backend = make("unknown", done_at=None)
    assert past.uptimes([backend.pk], NOW)[backend.pk]["30 d"].share is None


def test_gaps_count_neither_way():
    backend = make("up", (ago(days=2), "unknown", "up"))
    ProbeGap.objects.create(
        pool=backend.pool, begins_at=ago(minutes=50), ends_at=ago(minutes=20)
    )
    assert told(backend)["1 h"] == (1800, 1800)


def test_a_gap_that_lasts_is_not_known_either():
    backend = make("down", (ago(minutes=50), "up", "down"), done_at=ago(minutes=40, seconds=15))
    assert told(backend)["1 h"] == (20 * 60, 10 * 60)


def test_maintenance_is_not_known():
    backend = make(
        "up",
        (ago(minutes=50), "up", "unknown"),
        (ago(minutes=20), "unknown", "up"),
    )
    assert told(backend)["1 h"] == (30 * 60, 30 * 60)


def test_where_older_events_were_trimmed_nothing_is_said_of_the_time_before(settings):
    settings.POOLS_KEEP_EVENTS = 2
    backend = make("up", (ago(minutes=30), "up", "down"), (ago(minutes=20), "down", "up"))
    assert told(backend)["1 h"] == (1800, 1200)


def test_many_backends_cost_three_queries(django_assert_num_queries):
    keys = [make("up", (ago(hours=1), "unknown", "up"), name=f"p{n}").pk for n in range(20)]
    with django_assert_num_queries(3):
        assert len(past.uptimes(keys, NOW)) == 20


def test_latencies_of_several_workers_are_one():
    backend = make()
    for probes, failures, mean, worst in (
        (10, 0, 2.0, 5.0),
        (10, 5, 8.0, 9.0),
        (3, 3, None, None),
    ):
        LatencyBucket.objects.create(
            backend=backend,
            begins_at=ago(minutes=10),
            probes=probes,
            failures=failures,
            mean_ms=mean,
            worst_ms=worst,
        )
    LatencyBucket.objects.create(
        backend=backend,
        begins_at=ago(days=3),
        probes=1,
        failures=1,
        mean_ms=None,
        worst_ms=None,
    )
    (one,) = past.latencies(backend.pk, ago(days=1))
    assert (one.probes, one.failures, one.worst_ms) == (23, 8, 9.0)
    assert one.mean_ms == pytest.approx((10 * 2 + 5 * 8) / 15)


def test_a_bucket_in_which_none_passed_has_no_latency():
    backend = make()
    LatencyBucket.objects.create(
        backend=backend,
        begins_at=ago(minutes=1),
        probes=2,
        failures=2,
        mean_ms=None,
        worst_ms=None,
    )
    (one,) = past.latencies(backend.pk, ago(days=1))
    assert (one.mean_ms, one.worst_ms) == (None, None)


def spans(backend) -> list[tuple[str, int]]:
    """The verdicts of a day, each with its minutes."""
    found = past.spans(backend.pk, timedelta(days=1), NOW)
    assert found[0].begins_at == ago(days=1)
    assert found[-1].ends_at == NOW
    for one, other in zip(found, found[1:], strict=False):
        assert one.ends_at == other.begins_at
    return [(one.verdict.value, round(one.lasts.total_seconds() / 60)) for one in found]


def test_a_day_is_told_in_spans_without_holes():
    events = (ago(days=60), "unknown", "up"), (ago(minutes=20), "up", "down")
    backend = make("up", *events, (ago(minutes=14), "down", "up"))
    assert spans(backend) == [("up", 1420), ("down", 6), ("up", 14)]


def test_what_nobody_probed_is_unknown_in_a_span():
    backend = make("up", (ago(days=60), "unknown", "up"))
    for begin, end in ((50, 40), (45, 35), (10, 5)):
        ProbeGap.objects.create(
            pool=backend.pool, begins_at=ago(minutes=begin), ends_at=ago(minutes=end)
        )
    assert spans(backend) == [
        *(("up", 1390), ("unknown", 15), ("up", 25), ("unknown", 5), ("up", 5)),
    ]


def test_before_the_first_probe_and_after_the_last_a_span_is_unknown():
    backend = make("up", (ago(minutes=60), "unknown", "up"), done_at=ago(minutes=30))
    # Verdicts hold for three intervals of 5 s.
    assert spans(backend) == [("unknown", 1380), ("up", 30), ("unknown", 30)]
    other = make("unknown", name="new", done_at=None)
    assert spans(other) == [("unknown", 1440)]
