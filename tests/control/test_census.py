"""Backends counted by pool, and which pools need somebody to look."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pools.control import census, verdicts
from pools.control.census import Need
from pools.core.probing import Verdict
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule, Route

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY_S = 86_400.0


def pool(
    name: str = "web", *states: str, routed: bool = True, age_s: float = 0, **given
) -> Pool:
    """A pool with a backend for each verdict, "up", or state and verdict, "drain up". Nobody
    has to probe it within hours, unless its last round is that old."""
    row = Pool.objects.create(name=name, **{"probe_interval_s": 3600, **given})
    done_at = NOW - timedelta(seconds=age_s)
    ProbeSchedule.objects.create(pool=row, next_at=NOW, done_at=done_at)
    for number, words in enumerate(states, 1):
        state, _, verdict = words.rpartition(" ")
        backend = row.backends.create(host="10.0.0.1", port=number, state=state or "ready")
        BackendHealth.objects.create(backend=backend, verdict=verdict)
    if routed:
        Route.objects.create(name=name, pool=row, path_prefix=f"/{name}")
    return row


def tally(**given) -> census.Tally:
    (found,) = census.read(NOW, **given).pools
    return found


def test_backends_are_counted_by_their_verdicts():
    pool("web", "up", "up", "down", "unknown", "drain up", "maint up")
    found = tally()
    assert (found.up, found.down, found.unknown, found.total) == (3, 1, 2, 6)
    assert (found.ready, found.usable, found.leaving, found.resting) == (4, 3, 2, 1)


def test_verdicts_that_are_old_are_unknown():
    pool("web", "up", "down", age_s=DAY_S)
    found = tally()
    assert (found.up, found.down, found.unknown) == (0, 0, 2)
    assert found.need is Need.UNPROBED


def test_a_pool_that_is_new_is_given_time_for_its_first_round():
    pool("web", "unknown")
    ProbeSchedule.objects.update(done_at=None)
    assert tally().need is Need.NONE


def test_the_counts_are_those_that_processes_route_by():
    for number, (age_s, kind) in enumerate([(0, "http"), (DAY_S, "http"), (0, "off")]):
        pool(f"p{number}", "up", "down", "maint down", "drain up", age_s=age_s, probe_kind=kind)
    found = census.read(NOW)
    routed_by = list(verdicts.health_map(NOW).values())
    assert found.up == routed_by.count(Verdict.UP)
    assert found.down == routed_by.count(Verdict.DOWN)
    assert found.total == len(routed_by)


@pytest.mark.parametrize(
    ("states", "given", "need"),
    [
        (("up", "up", "up"), {}, Need.NONE),
        (("up", "up", "down"), {}, Need.DOWN),
        (("up", "down", "down"), {}, Need.PANIC),
        (("up", "down", "down"), {"passive_panic_percent": 0}, Need.DOWN),
        (("down", "down"), {}, Need.EMPTY),
        (("down", "down"), {"routed": False}, Need.DOWN),
        (("drain up", "maint up"), {}, Need.EMPTY),
        (("up", "drain down"), {}, Need.NONE),
        ((), {}, Need.EMPTY),
        ((), {"routed": False}, Need.NONE),
        (("maint up",), {"routed": False, "age_s": DAY_S}, Need.NONE),
    ],
)
def test_what_a_pool_needs(states, given, need):
    pool("web", *states, **given)
    assert tally().need is need


def test_where_backups_alone_are_left_it_is_for_them_to_step_in():
    pool("web", "up", "down", "down", "down")
    Backend.objects.filter(port=1).update(backup=True)
    assert tally().need is Need.DOWN


def test_a_backend_without_weight_gets_no_requests():
    pool("web", "up")
    Backend.objects.update(weight=0)
    assert tally().need is Need.EMPTY


def test_a_process_may_tell_of_panic_too():
    pool("web", "up", "up")
    assert tally(panics={"web": ["gateway a:1"]}).need is Need.PANIC


def test_only_the_pools_that_were_asked_for_are_counted():
    pool("web", "up")
    pool("other", "down")
    found = census.read(NOW, Pool.objects.filter(name="web"))
    assert [each.name for each in found.pools] == ["web"]
    assert (found.up, found.total) == (1, 1)


def test_it_costs_three_queries_however_many_there_are(django_assert_num_queries):
    for number in range(30):
        pool(f"p{number}", "up", "down", "maint up")
    with django_assert_num_queries(3):
        assert census.read(NOW, Pool.objects.all()).total == 90
