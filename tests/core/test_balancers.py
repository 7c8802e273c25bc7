"""The policies on bare candidates; what keeps a backend from being one is the runtime's."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core import document
from pools.core.balancers import BALANCERS
from pools.core.balancers.consistent_hash import ConsistentHash, stable_hash
from pools.core.document import HashOn, Policy
from tests.core.build import cookie, head


@dataclass(eq=False)
class Candidate:
    name: str
    weight: float = 1.0
    in_flight: int = 0
    current: float = 0.0

    @property
    def seed(self):
        return stable_hash(self.name.encode())


def candidates(*weights):
    return [Candidate(f"b{index}", float(weight)) for index, weight in enumerate(weights)]


def balancer(policy, **spec):
    return BALANCERS[policy](document.Pool(name="p", policy=policy, **spec))


def select_many(policy, among, count, *, hold=False, seed=3):
    """How often each was chosen; with `hold` the requests stay in flight."""
    chance, made = random.Random(seed), balancer(policy)
    chosen = Counter({candidate.name: 0 for candidate in among})
    for _ in range(count):
        candidate = made.select(among, head(), chance)
        candidate.in_flight += hold
        chosen[candidate.name] += 1
    return chosen


weights = st.lists(st.integers(1, 256), min_size=2, max_size=12)


def test_every_policy_has_its_balancer():
    assert set(BALANCERS) == set(Policy)


@pytest.mark.parametrize("policy", Policy)
def test_a_balancer_chooses_among_what_it_is_given(policy):
    among = candidates(1, 2, 3)
    assert balancer(policy).select(among, head(), random.Random(1)) in among


# --- smooth weighted round robin


def test_three_equal_backends_get_exactly_a_third_each_in_turn():
    chosen = select_many(Policy.ROUND_ROBIN, candidates(1, 1, 1), 300)
    assert set(chosen.values()) == {100}


def test_heavy_backends_are_spread_out():
    among, made = candidates(5, 1, 1), balancer(Policy.ROUND_ROBIN)
    order = [made.select(among, head(), random.Random(1)).name for _ in range(7)]
    assert order == ["b0", "b0", "b1", "b0", "b2", "b0", "b0"]  # as nginx does


@given(weights)
def test_round_robin_gives_each_its_exact_weight_in_every_round(given_weights):
    among = candidates(*given_weights)
    for _ in range(2):
        chosen = select_many(Policy.ROUND_ROBIN, among, sum(given_weights))
        assert list(chosen.values()) == given_weights


@given(weights, st.integers(1, 600))
def test_round_robin_is_never_far_from_its_share(given_weights, count):
    """Within the number of backends at every moment; in practice within one or two."""
    chosen = select_many(Policy.ROUND_ROBIN, candidates(*given_weights), count)
    total = sum(given_weights)
    for weight, had in zip(given_weights, chosen.values(), strict=True):
        assert abs(had - count * weight / total) < len(given_weights)


# --- least requests


@given(weights, st.integers(1, 300))
def test_least_requests_fills_by_weight(given_weights, count):
    """At any time no backend would be better off with another's last request."""
    among = candidates(*given_weights)
    select_many(Policy.LEAST_REQUESTS, among, count, hold=True)
    least = min((candidate.in_flight + 1) / candidate.weight for candidate in among)
    assert all(candidate.in_flight / candidate.weight <= least for candidate in among)


def test_least_requests_prefers_the_idle_one():
    among = candidates(1, 1, 1)
    among[0].in_flight = among[2].in_flight = 1
    assert select_many(Policy.LEAST_REQUESTS, among, 5)["b1"] == 5


def test_least_requests_goes_round_among_idle_backends():
    chosen = select_many(Policy.LEAST_REQUESTS, candidates(1, 1, 1), 30)
    assert set(chosen.values()) == {10}


# --- chance


def close_to_shares(chosen, given_weights, count):
    """Each within five standard deviations, and a few, of a fair draw's mean."""
    total = sum(given_weights)
    for weight, had in zip(given_weights, chosen.values(), strict=True):
        share = weight / total
        assert abs(had - count * share) <= 5 * (count * share * (1 - share)) ** 0.5 + 5


@given(weights, st.integers(0, 2**32))
def test_random_follows_the_weights(given_weights, seed):
    chosen = select_many(Policy.RANDOM, candidates(*given_weights), 500, seed=seed)
    close_to_shares(chosen, given_weights, 500)


def test_random_reaches_the_last_backend_whatever_the_rounding():
    class Highest(random.Random):
        def random(self):
            return 1.0  # what rounding can make of the product with the sum

    among = candidates(0.1, 0.2, 0.3)
    assert balancer(Policy.RANDOM).select(among, head(), Highest()) is among[-1]


@given(weights, st.integers(0, 2**32))
def test_power_of_two_follows_the_weights_of_an_idle_pool(given_weights, seed):
    chosen = select_many(Policy.POWER_OF_TWO, candidates(*given_weights), 500, seed=seed)
    close_to_shares(chosen, given_weights, 500)


def test_power_of_two_draws_two_distinct_and_takes_the_less_busy():
    among = candidates(1, 1, 1)
    among[0].in_flight, among[1].in_flight = 5, 1
    chosen = select_many(Policy.POWER_OF_TWO, among, 300)
    assert chosen["b0"] == 0  # it loses against either
    assert chosen["b2"] > chosen["b1"] > 0


@given(st.integers(2, 12), st.integers(0, 2**32))
def test_power_of_two_keeps_equal_backends_level(count, seed):
    among = candidates(*[1] * count)
    select_many(Policy.POWER_OF_TWO, among, 40 * count, hold=True, seed=seed)
    loads = [candidate.in_flight for candidate in among]
    assert max(loads) - min(loads) <= 12  # random alone drifts apart by several times that


# --- consistent hash


KEYS = [f"198.51.100.{number}" for number in range(256)]


def owners(among, **spec):
    made = balancer(Policy.CONSISTENT_HASH, hash=document.Hash(**spec))
    chance = random.Random(1)
    return {key: made.select(among, head(client=key), chance).name for key in KEYS}


@given(weights, st.data())
def test_a_removed_backend_moves_its_own_keys_alone(given_weights, data):
    among = candidates(*given_weights, 1)
    gone = data.draw(st.sampled_from(among))
    before = owners(among)
    after = owners([candidate for candidate in among if candidate is not gone])
    assert all(after[key] == owner for key, owner in before.items() if owner != gone.name)


@given(weights)
def test_the_order_of_backends_does_not_matter(given_weights):
    among = candidates(*given_weights)
    assert owners(among) == owners(among[::-1])


def test_a_greater_weight_moves_keys_to_its_backend_alone():
    before, after = owners(candidates(1, 1, 1)), owners(candidates(1, 1, 3))
    moved = {after[key] for key in KEYS if before[key] != after[key]}
    assert moved == {"b2"}


def test_keys_spread_by_weight():
    made = balancer(Policy.CONSISTENT_HASH)
    among, chance = candidates(1, 2, 5, 8), random.Random(1)
    chosen = Counter({candidate.name: 0 for candidate in among})
    for number in range(8_000):
        chosen[made.select(among, head(client=f"key {number}"), chance).name] += 1
    close_to_shares(chosen, [1, 2, 5, 8], 8_000)


def test_known_owners_stay_across_processes_and_versions():
    """A change here sends most clients of a running site to another backend."""
    assert stable_hash(b"192.0.2.1") == 0xC874FACE288B2811
    found = owners(candidates(1, 1, 2))
    assert " ".join(found[key] for key in KEYS[:12]) == "b1 b1 b0 b1 b2 b2 b1 b1 b0 b2 b2 b0"


@given(weights, st.integers(101, 300), st.integers(1, 200))
def test_bounded_load_holds_for_a_single_key(given_weights, factor, count):
    """No backend has more than its bound when it is chosen, so none grows past it."""
    among = candidates(*given_weights)
    made = balancer(Policy.CONSISTENT_HASH, hash=document.Hash(balance_factor=factor))
    total = sum(given_weights)
    for number in range(1, count + 1):
        chosen = made.select(among, head(), random.Random(1))
        chosen.in_flight += 1
        assert chosen.in_flight <= factor / 100 * number * chosen.weight / total + 1


def test_bounded_load_keeps_keys_at_home_while_load_is_even():
    among = candidates(1, 1, 1)
    for candidate in among:
        candidate.in_flight = 10
    assert owners(among, balance_factor=150) == owners(among)


@pytest.mark.parametrize(
    ("spec", "request_head", "key"),
    [
        ({"on": HashOn.CLIENT_ADDRESS}, head(), b"192.0.2.1"),
        ({"on": HashOn.PATH}, head(path="/a%20b"), b"/a%20b"),
        ({"on": HashOn.HEADER, "name": "X-Key"}, head(headers=[(b"x-key", b"k")]), b"k"),
        ({"on": HashOn.HEADER, "name": "X-Key"}, head(), b"192.0.2.1"),
        ({"on": HashOn.HEADER, "name": "X-Key"}, head(headers=[(b"x-key", b"")]), b"192.0.2.1"),
        ({"on": HashOn.COOKIE, "name": "Sid"}, cookie(b"sid=1; Sid=s"), b"s"),
        ({"on": HashOn.COOKIE, "name": "Sid"}, cookie(b"sid=1"), b"192.0.2.1"),
    ],
)
def test_what_is_hashed_and_the_client_address_where_that_is_missing(spec, request_head, key):
    made = ConsistentHash(document.Pool(name="p", hash=document.Hash(**spec)))
    assert made.key(request_head) == key
