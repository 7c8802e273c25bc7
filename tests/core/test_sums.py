"""sums: looks at counters, each with what came since the one before."""

from __future__ import annotations

import json

import pytest

from pools.core.counters import Counters, bucket, quantiles_ms
from pools.core.sums import BACKEND, PIECE, Look, Sums, Tally, kind_of, named, paused


def count(counters, *, backend="web/a:80", pool="web", route="shop", status=200, seconds=0.01):
    """A request; `backend` "": none was tried."""
    own = counters.backend(backend) if backend else counters.of_no_backend(pool)
    for traffic in (own, counters.route(route)):
        traffic.count(status // 100, 3, 5, bucket(seconds))


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def tally(counters):
    return Tally(counters)


def test_a_look_has_what_came_since_the_one_before(counters, tally):
    count(counters)
    count(counters)
    assert tally.look().named["backend:web/a:80"].requests == 2
    count(counters)
    look = tally.look()
    assert look.named["backend:web/a:80"].packed() == [1, 0, 0, 0, 5, 3, bucket(0.01), 1]
    assert look.named["route:shop"].requests == 1
    assert look.total.requests == 1


def test_who_carried_nothing_is_not_in_it(counters, tally):
    count(counters)
    tally.look()
    look = tally.look()
    assert (look.named, look.total.packed()) == ({}, [0] * 6)


def test_a_pool_is_the_sum_of_its_backends_and_the_total_that_of_all(counters, tally):
    for backend in ("web/a:80", "web/unix:/run/b/c.sock", "api/a:80"):
        count(counters, backend=backend, seconds=0.01)
    look = tally.look()
    assert look.named["pool:web"].requests == 2
    assert look.named["pool:api"].requests == 1
    assert look.total.requests == 3
    assert look.total.latency == {bucket(0.01): 3}


def test_what_no_backend_was_tried_for_is_its_pools(counters, tally):
    count(counters)
    count(counters, backend="", status=503)
    look = tally.look()
    assert look.named["pool:web"].error_share == look.total.error_share == 0.5
    assert set(look.named) == {"pool:web", "backend:web/a:80", "route:shop"}


@pytest.mark.parametrize(
    ("status", "share"), [(0, 1), (200, 0), (404, 0), (499, 0), (500, 1), (503, 1)]
)
def test_an_error_is_an_answer_of_5xx_or_none(counters, tally, status, share):
    count(counters, status=status)
    assert tally.look().total.error_share == share


def test_what_no_route_took_is_in_the_total_alone(counters, tally):
    counters.unrouted += 3
    counters.unready += 1
    look = tally.look()
    assert (look.total.requests, look.total.errors, look.named) == (4, 1, {})
    counters.unrouted += 1
    assert (tally.look().total.requests, tally.look().total.requests) == (1, 0)


def test_retries_and_ejections_count_without_requests(counters, tally):
    count(counters)
    tally.look()
    counters.backend("web/a:80").retries += 2
    counters.backend("web/a:80").ejections += 1
    look = tally.look()
    for sums in (look.named["backend:web/a:80"], look.named["pool:web"], look.total):
        assert (sums.requests, sums.retries, sums.ejections) == (0, 2, 1)


def test_counters_that_were_forgotten_and_began_anew_count_from_nothing(counters, tally):
    count(counters)
    tally.look()
    del counters.backends["web/a:80"]
    for _ in range(3):
        count(counters)
    assert tally.look().named["backend:web/a:80"].requests == 3


def test_what_is_known_already_is_not_told_again(counters):
    count(counters)
    counters.unrouted += 1
    tally = Tally(counters, known=True)
    assert tally.look().total.requests == 0
    count(counters)
    assert tally.look().total.requests == 1


def test_sums_add_up_and_survive_packing():
    counters, both = Counters(), Sums()
    tally = Tally(counters)
    for seconds in (0.001, 0.01):
        count(counters, seconds=seconds)
        count(counters, seconds=0.01, status=500)
        both.add(tally.look().total)
    assert both.latency == {bucket(0.001): 1, bucket(0.01): 3}
    again = Sums.unpacked(json.loads(json.dumps(both.packed())))
    assert again.packed() == both.packed()
    assert (again.requests, again.errors) == (4, 2)


def test_adding_to_a_sum_leaves_what_was_added_as_it_is():
    one, other = Sums(), Sums()
    one.latency = {3: 1}
    other.add(one)
    other.add(one)
    assert (one.latency, other.latency) == ({3: 1}, {3: 2})


@pytest.mark.parametrize("packed", [[], [1, 2, 3], [1, 0, 0, 0, 0, 0, 7]])
def test_what_is_of_another_form_is_refused(packed):
    with pytest.raises(ValueError):
        Sums.unpacked(packed)


def test_quantiles_of_a_sum_are_those_of_all_its_buckets():
    sums = Sums()
    sums.latency = {40: 5, 44: 4, 60: 1}
    dense = [sums.latency.get(slot, 0) for slot in range(111)]
    assert sums.quantiles_ms() == quantiles_ms(dense)
    sums.latency = {0: 1}
    assert sums.quantiles_ms() == quantiles_ms([1])
    assert set(Sums().quantiles_ms().values()) == {None}


def test_nothing_has_no_share_of_errors():
    assert Sums().error_share is None


def test_others_get_on_after_each_few_names(counters, tally):
    for number in range(2 * PIECE):
        count(counters, backend=f"web/{number}:80")
    pauses = []
    tally.look(lambda: pauses.append(1))
    assert len(pauses) == 2
    assert list(paused([1, 2], pauses.clear)) == [1, 2]


def test_what_was_added_can_be_taken_away_again(counters, tally):
    looks = []
    for seconds in (0.001, 0.01, 0.01):
        count(counters, seconds=seconds)
        looks.append(tally.look())
    both = Look()
    for look in looks:
        both.add("pool:web", look.named["pool:web"])
    both.take("pool:web", looks[0].named["pool:web"])
    assert both.named["pool:web"].latency == {bucket(0.01): 2}
    both.take("pool:web", looks[1].named["pool:web"])
    assert both.named["pool:web"].packed() == looks[2].named["pool:web"].packed()
    both.take("pool:web", looks[2].named["pool:web"])
    assert both.named == {}


def test_a_name_tells_its_kind_whatever_is_in_it():
    assert kind_of(named(BACKEND, "web/[::1]:80")) == BACKEND
