"""verdicts: what probes said, while it is news."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pools.control import verdicts
from pools.core.probing import Verdict
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def make(
    name: str = "web",
    *,
    verdict: str = "up",
    age_s: float | None = 1.0,
    state="ready",
    **of_pool,
) -> Backend:
    pool = Pool.objects.create(name=name, probe_interval_s=5, **of_pool)
    backend = Backend.objects.create(pool=pool, host="::1", port=80, state=state)
    BackendHealth.objects.create(backend=backend, verdict=verdict)
    done_at = None if age_s is None else NOW - timedelta(seconds=age_s)
    ProbeSchedule.objects.create(pool=pool, next_at=NOW, done_at=done_at)
    return backend


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_of_late_holds(verdict):
    make(verdict=verdict.value, age_s=14)
    assert verdicts.health_map(NOW) == {"web/[::1]:80": verdict}


@pytest.mark.parametrize("age_s", [15, 3600, None])
def test_after_three_intervals_without_a_round_it_is_unknown(age_s):
    make(verdict="down", age_s=age_s)
    assert verdicts.health_map(NOW) == {"web/[::1]:80": Verdict.UNKNOWN}


def test_without_probes_nothing_is_known():
    make("off", probe_kind="off")
    make("maint", state="maint")
    pool = Pool.objects.create(name="new")
    Backend.objects.create(pool=pool, host="a", port=1)
    assert set(verdicts.health_map(NOW).values()) == {Verdict.UNKNOWN}
    assert len(verdicts.health_map(NOW)) == 3


def test_it_says_when_to_look_again():
    make("off", probe_kind="off")
    assert verdicts.read(NOW).until is None
    make("stale", age_s=60)
    assert verdicts.read(NOW).until == NOW + timedelta(seconds=5)
    make("fresh", age_s=12)
    assert verdicts.read(NOW).until == NOW + timedelta(seconds=3)


def test_one_query_for_any_number_of_pools(django_assert_num_queries):
    for index in range(20):
        make(f"p{index}")
    with django_assert_num_queries(1):
        assert len(verdicts.health_map()) == 20


@pytest.mark.parametrize(
    ("since_s", "failures", "verdict", "ended"),
    [
        (3, 0, "up", True),
        (1, 0, "up", False),  # the round began before the ejection
        (3, 1, "up", False),
        (3, 0, "down", False),
    ],
)
def test_a_probe_that_passed_after_an_ejection_ends_it(since_s, failures, verdict, ended):
    backend = make(age_s=1, verdict=verdict)
    BackendHealth.objects.update(failures=failures)
    ProbeSchedule.objects.update(began_at=NOW - timedelta(seconds=2))
    since = {backend.key: NOW - timedelta(seconds=since_s), "gone/a:1": NOW}
    assert list(verdicts.recovered(since)) == ([backend.key] if ended else [])
