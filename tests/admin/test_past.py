"""A backend's page tells its uptime and what its probes took."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pools.admin import past
from pools.models import Backend, BackendHealth, HealthEvent, LatencyBucket, Pool, ProbeSchedule

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def backend():
    pool = Pool.objects.create(name="web")
    row = Backend.objects.create(pool=pool, host="a", port=1)
    BackendHealth.objects.create(backend=row, verdict="up")
    ProbeSchedule.objects.create(pool=pool, next_at=NOW, done_at=timezone.now())
    return row


def turned(backend, old, new, **ago):
    HealthEvent.objects.create(backend=backend, old=old, new=new, at=NOW - timedelta(**ago))


def took(backend, mean, worst, **ago):
    LatencyBucket.objects.create(
        backend=backend,
        begins_at=NOW - timedelta(**ago),
        probes=10,
        failures=0,
        mean_ms=mean,
        worst_ms=worst,
    )


def test_uptime_is_of_what_is_known(backend):
    turned(backend, "unknown", "up", days=3, hours=1)
    turned(backend, "up", "down", hours=20)
    turned(backend, "down", "up", hours=20, seconds=-3)
    assert past.uptime(backend) == (
        "<strong>1 h</strong> 100 % · <strong>24 h</strong> 99.99 % · "
        "<strong>30 d</strong> 99.99 % of 3 days"
    )


def test_before_the_first_probe_no_uptime_is_known(backend):
    assert past.uptime(backend).count("not known") == 3


def test_latencies_of_a_day_are_a_line_and_two_figures(backend):
    took(backend, 2.0, 4.0, hours=5)
    took(backend, 4.0, 30.0, hours=1)
    took(backend, 500.0, 900.0, days=2)
    shown = past.latency(backend)
    assert "3.0 ms on average, 30 ms at worst, in 24 h" in shown
    assert shown.count("<polyline") == 1


def test_where_nothing_was_written_yet_it_says_when(backend):
    assert past.latency(backend) == "nothing yet: it is written each ten minutes"


def test_it_stands_on_the_backend_s_page(admin_client, backend):
    turned(backend, "unknown", "up", days=3)
    page = admin_client.get(f"/admin/pools/backend/{backend.pk}/change/").content.decode()
    assert "<strong>1 h</strong> 100 %" in page
    assert "latency of probes" in page.lower()


def test_the_health_of_a_day_is_a_strip_with_its_text(backend):
    turned(backend, "unknown", "up", days=3)
    turned(backend, "up", "down", hours=9)
    turned(backend, "down", "up", hours=8)
    turned(backend, "up", "down", minutes=61)
    turned(backend, "down", "up", minutes=60, seconds=57)
    shown = past.strip(backend)
    assert "down 2 times, 1 h in all" in shown
    assert 'role="img"' in shown
    bars = re.findall(r'<rect class="pools-(\w+)" x="(\d+)" y="\d+" width="(\d+)"', shown)
    # One of three seconds is as wide as can be seen.
    assert [verdict for verdict, _, _ in bars] == ["up", "down", "up", "down", "up"]
    assert sum(int(width) for _, _, width in bars) == 288
    assert "style=" not in shown


def test_where_it_was_up_or_is_not_known_the_strip_says_that(backend):
    BackendHealth.objects.update(since=NOW - timedelta(days=3))
    assert "up all the time" in past.strip(backend)
    other = Backend.objects.create(pool=backend.pool, host="b", port=1)
    assert "not known for 1 d" in past.strip(other)


def test_a_thousand_flips_are_a_strip_of_bounded_size(backend):
    HealthEvent.objects.bulk_create(
        HealthEvent(
            backend=backend,
            at=NOW - timedelta(minutes=number),
            old=("up", "down")[number % 2],
            new=("down", "up")[number % 2],
        )
        for number in range(900)
    )
    assert past.strip(backend).count("<rect") <= 288


def test_a_page_asks_once_for_what_it_shows_several_times(admin_client, backend):
    turned(backend, "unknown", "up", days=3)
    with CaptureQueriesContext(connection) as found:
        admin_client.get(f"/admin/pools/backend/{backend.pk}/change/")
    asked = [query["sql"] for query in found if "pools_latencybucket" in query["sql"]]
    assert asked and len(asked) == len(set(asked))
