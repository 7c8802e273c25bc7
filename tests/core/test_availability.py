"""Which backends the runtime offers to the policy: state, health, limits, tiers, panic."""

from collections import Counter

import pytest

from pools.core.document import Policy
from pools.core.errors import NoBackendAvailable
from pools.core.probing import Verdict
from tests.core.build import Bench, backends, cookie, failure, head, pool


def health(bench, **verdicts):
    bench.engine.apply_health({f"web/{host}:80": verdicts[host] for host in verdicts})


def served(bench, count=60):
    return set(bench.serve_many(count))


def with_states(*states, **spec):
    """A pool of backends of these specs: b1, b2, ..."""
    listed = [
        {**made, **state} for made, state in zip(backends(len(states)), states, strict=True)
    ]
    return pool(listed, **spec)


# --- the operator's word


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("out", [{"state": "drain"}, {"state": "maint"}, {"weight": 0}])
def test_drained_stopped_and_weightless_backends_get_no_new_requests(policy, out):
    bench = Bench(with_states({}, out, policy=policy.value))
    assert served(bench) == {"b1"}


@pytest.mark.parametrize("out", [{"state": "drain"}, {"state": "maint"}, {"weight": 0}])
def test_not_even_in_panic(out):
    bench = Bench(with_states({}, out))
    health(bench, b1=Verdict.DOWN)
    assert served(bench) == {"b1"}


def test_a_pool_without_backends_refuses():
    assert Bench(pool([])).refused()


# --- health


@pytest.mark.parametrize("policy", Policy)
def test_down_backends_are_passed_over(policy):
    bench = Bench(pool(3, policy=policy.value))
    health(bench, b2=Verdict.DOWN, b1=Verdict.UP)
    assert "b2" not in served(bench)


def test_unknown_is_selectable():
    bench = Bench(pool(2))
    health(bench, b1=Verdict.UNKNOWN)
    assert served(bench) == {"b1", "b2"}


def test_a_verdict_that_is_missing_is_unknown_again():
    bench = Bench(pool(2))
    health(bench, b1=Verdict.DOWN)
    assert served(bench) == {"b2"}
    health(bench)
    assert served(bench) == {"b1", "b2"}


# --- panic


def test_below_the_threshold_health_is_ignored():
    bench = Bench(pool(4))
    health(bench, b1=Verdict.DOWN, b2=Verdict.DOWN)
    assert served(bench) == {"b3", "b4"}
    health(bench, b1=Verdict.DOWN, b2=Verdict.DOWN, b3=Verdict.DOWN)
    assert served(bench) == {"b1", "b2", "b3", "b4"}


def test_panic_threshold_zero_refuses_rather_than_ask_the_dead():
    bench = Bench(pool(2, passive={"panic_percent": 0}))
    health(bench, b1=Verdict.DOWN, b2=Verdict.DOWN)
    assert bench.refused()


def test_backends_that_are_not_ready_do_not_count_for_panic():
    bench = Bench(with_states({}, {}, {"state": "maint"}, {"weight": 0}))
    health(bench, b1=Verdict.DOWN)
    assert served(bench) == {"b2"}


def test_panic_keeps_to_max_in_flight():
    bench = Bench(pool(1, max_in_flight=1))
    health(bench, b1=Verdict.DOWN)
    held, _ = bench.hold()
    assert bench.refused()
    held.close()
    assert not bench.refused()


# --- backups


def test_backups_serve_only_when_no_primary_does():
    bench = Bench(with_states({}, {}, {"backup": True}, {"backup": True}))
    assert served(bench) == {"b1", "b2"}
    health(bench, b1=Verdict.DOWN)
    assert served(bench) == {"b2"}
    health(bench, b1=Verdict.DOWN, b2=Verdict.DOWN)
    assert served(bench) == {"b3", "b4"}
    health(bench)
    assert served(bench) == {"b1", "b2"}


def test_a_healthy_backup_steps_in_before_panic():
    bench = Bench(with_states({}, {}, {}, {"backup": True}))
    health(bench, b1=Verdict.DOWN, b2=Verdict.DOWN, b3=Verdict.DOWN)
    assert served(bench) == {"b4"}


def test_with_no_backend_in_good_health_primaries_are_asked_first():
    bench = Bench(with_states({}, {"backup": True}))
    health(bench, b1=Verdict.DOWN, b2=Verdict.DOWN)
    assert served(bench) == {"b1"}


def test_backups_take_what_full_primaries_cannot():
    bench = Bench(with_states({"max_in_flight": 1}, {"backup": True}))
    held, host = bench.hold()
    assert host == "b1"
    assert bench.serve() == "b2"
    held.close()
    assert bench.serve() == "b1"


# --- max in flight


@pytest.mark.parametrize("policy", Policy)
def test_full_backends_are_passed_over_and_a_full_pool_refuses(policy):
    bench = Bench(pool(2, policy=policy.value, max_in_flight=2))
    held = [bench.hold() for _ in range(4)]
    assert Counter(host for _, host in held) == {"b1": 2, "b2": 2}
    assert bench.refused()
    held[0][0].close()
    assert bench.serve() == held[0][1]


def full(bench, exchange=None):
    """Whether the refusal of an exchange says that a backend is only full."""
    with exchange or bench.begin() as refused, pytest.raises(NoBackendAvailable) as error:
        refused.acquire()
    return error.value.full


def test_a_refusal_says_that_waiting_may_help_where_a_backend_is_only_full():
    bench = Bench(with_states({"max_in_flight": 1}, {"state": "maint"}))
    held, _ = bench.hold()
    assert full(bench)
    held.close()
    assert not bench.refused()


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_nor_does_it_say_so_of_a_full_backend_that_takes_no_requests_anyhow(state):
    bench = Bench(with_states({"max_in_flight": 1}))
    held, _ = bench.hold()
    bench.swap(with_states({"max_in_flight": 1, "state": state}))
    assert not full(bench)
    held.close()


def test_nor_of_one_that_was_tried():
    bench = Bench(pool(1, max_in_flight=1))
    exchange, _ = bench.hold()
    exchange.fail(failure())
    other, _ = bench.hold()
    assert not full(bench, exchange)
    other.close()


# --- ejection


def test_failures_in_a_row_eject_and_time_brings_back():
    bench = Bench(pool(3))
    bench.break_backend("b2")
    assert bench.engine.ejected() == {"web/b2:80"}
    assert served(bench) == {"b1", "b3"}
    bench.clock.advance(29.9)
    assert served(bench) == {"b1", "b3"}
    bench.clock.advance(0.1)
    assert served(bench) == {"b1", "b2", "b3"}
    assert bench.engine.ejected() == frozenset()


def test_a_good_answer_begins_the_count_anew():
    bench = Bench(pool(2))
    bench.break_backend("b1", times=4)
    assert "b1" in bench.serve_many(2)
    bench.break_backend("b1", times=4)
    assert not bench.engine.ejected()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateways_errors_count_as_failures(status):
    bench = Bench(pool(2))
    for _ in range(10):
        bench.serve(status=status)
    assert len(bench.engine.ejected()) == 1  # the other is the last selectable


@pytest.mark.parametrize("status", [200, 404, 429, 500, 501])
def test_other_answers_do_not(status):
    bench = Bench(pool(2))
    for _ in range(40):
        bench.serve(status=status)
    assert not bench.engine.ejected()


def test_the_last_selectable_backend_stays():
    bench = Bench(with_states({}, {"state": "drain"}, {"state": "maint"}))
    bench.break_backend("b1", times=20)
    assert not bench.engine.ejected()
    assert served(bench) == {"b1"}


def test_a_last_backend_goes_once_another_can_serve():
    bench = Bench(pool(2))
    health(bench, b2=Verdict.DOWN)
    bench.break_backend("b1", times=5)
    assert not bench.engine.ejected()
    health(bench)
    bench.break_backend("b1", times=1)
    assert bench.engine.ejected() == {"web/b1:80"}


def test_at_most_the_set_share_is_ejected():
    bench = Bench(pool(4))
    for host in ("b1", "b2"):
        bench.break_backend(host)
    bench.break_backend("b3", times=20)
    assert bench.engine.ejected() == {"web/b1:80", "web/b2:80"}


def test_late_failures_do_not_prolong_an_ejection():
    bench = Bench(pool(2))
    held = [bench.hold() for _ in range(20)]
    of_b1 = [exchange for exchange, host in held if host == "b1"]
    for exchange in of_b1[:5]:
        exchange.fail(failure())
    bench.clock.advance(20)
    for exchange in of_b1[5:]:
        exchange.fail(failure())
    bench.clock.advance(10)
    assert not bench.engine.ejected()


def test_a_passing_probe_ends_the_ejection():
    bench = Bench(pool(3))
    bench.break_backend("b2")
    bench.engine.recovered(["web/b1:80", "web/b2:80", "web/gone:80"])
    assert not bench.engine.ejected()
    assert served(bench) == {"b1", "b2", "b3"}


def test_a_pool_ejects_nothing_when_passive_health_is_off():
    bench = Bench(pool(2, passive={"failures": 0}))
    bench.break_backend("b1", times=50)
    assert not bench.engine.ejected()


# --- stickiness


def sticky(*states, **spec):
    return Bench(with_states(*states, sticky={"mode": "cookie", "cookie": "lb", **spec}))


def holding(bench, host):
    """A request of a client that was on a backend before."""
    (token,) = [
        backend.token
        for backend in bench.engine.snapshot.pools["web"].backends
        if backend.spec.host == host
    ]
    return cookie(b"a=1; lb=" + token)


def test_a_client_stays_on_its_backend():
    bench = sticky({}, {}, {})
    for host in ("b1", "b2", "b3"):
        assert set(bench.serve_many(9, holding(bench, host))) == {host}


def test_cookies_that_were_made_up_are_of_no_use():
    bench = sticky({}, {})
    for value in (b"lb=b2", b"lb=web/b2:80", b"lb=", b"other=x"):
        assert set(bench.serve_many(8, cookie(value))) == {"b1", "b2"}


@pytest.mark.parametrize("out", [{"state": "drain"}, {"weight": 0}])
def test_clients_may_stay_on_a_backend_that_takes_no_new_ones(out):
    bench = sticky({}, out)
    assert bench.serve(holding(bench, "b2")) == "b2"
    assert served(bench) == {"b1"}


def test_unless_the_pool_lets_none_stay_while_draining():
    bench = sticky({}, {"state": "drain"}, while_draining=False)
    assert bench.serve(holding(bench, "b2")) == "b1"


def test_maintenance_moves_everyone():
    bench = sticky({}, {"state": "maint"})
    assert bench.serve(holding(bench, "b2")) == "b1"


@pytest.mark.parametrize("state", ["ready", "drain"])
def test_clients_of_a_backend_that_is_down_move(state):
    bench = sticky({}, {}, {"state": state})
    health(bench, b3=Verdict.DOWN)
    assert bench.serve(holding(bench, "b3")) != "b3"


def test_clients_stay_on_a_backend_that_is_down_in_panic():
    bench = sticky({}, {})
    health(bench, b1=Verdict.DOWN, b2=Verdict.DOWN)
    assert set(bench.serve_many(4, holding(bench, "b2"))) == {"b2"}


def test_clients_of_a_full_backend_move():
    bench = sticky({}, {"max_in_flight": 1})
    held, host = bench.hold(holding(bench, "b2"))
    assert (host, bench.serve(holding(bench, "b2"))) == ("b2", "b1")
    held.close()


def test_a_client_stays_on_a_backup_when_primaries_return():
    bench = sticky({}, {"backup": True})
    assert bench.serve(holding(bench, "b2")) == "b2"


def test_cookies_are_ignored_where_stickiness_is_off():
    bench = Bench(pool(2))
    assert set(bench.serve_many(4, holding(bench, "b2"))) == {"b1", "b2"}


# --- slow start


def shares(bench, count=1_100):
    chosen = Counter(bench.serve_many(count))
    return chosen["b2"] / count


def test_a_backend_that_comes_up_starts_at_a_tenth_and_grows_linearly():
    bench = Bench(pool(2, slow_start_s=100.0))
    health(bench, b2=Verdict.DOWN)
    health(bench, b2=Verdict.UP)
    assert shares(bench) == pytest.approx(0.1 / 1.1, abs=0.01)
    bench.clock.advance(50)
    assert shares(bench) == pytest.approx(0.5 / 1.5, abs=0.01)
    bench.clock.advance(50)
    assert shares(bench) == pytest.approx(0.5, abs=0.01)


def test_there_is_no_slow_start_at_process_start():
    bench = Bench(pool(2, slow_start_s=100.0))
    health(bench, b2=Verdict.UP)
    assert shares(bench) == pytest.approx(0.5, abs=0.01)


def test_a_backend_that_is_added_starts_slowly():
    bench = Bench(pool(1, slow_start_s=100.0))
    bench.swap(pool(2, slow_start_s=100.0))
    assert shares(bench) < 0.1


def test_a_backend_that_leaves_maintenance_starts_slowly():
    bench = Bench(with_states({}, {"state": "maint"}, slow_start_s=100.0))
    bench.swap(with_states({}, {}, slow_start_s=100.0))
    assert shares(bench) < 0.1


def test_a_backend_that_leaves_drain_does_not():
    bench = Bench(with_states({}, {"state": "drain"}, slow_start_s=100.0))
    bench.swap(with_states({}, {}, slow_start_s=100.0))
    assert shares(bench) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("by_probe", [True, False])
def test_a_backend_that_was_ejected_starts_slowly(by_probe):
    bench = Bench(pool(2, slow_start_s=100.0))
    bench.break_backend("b2")
    if by_probe:
        bench.engine.recovered(["web/b2:80"])
    else:
        bench.clock.advance(30)
    assert shares(bench) < 0.1


def test_consistent_hash_knows_no_slow_start():
    """It would move keys over and over."""
    spec = {"policy": "consistent_hash", "slow_start_s": 100.0}
    bench = Bench(pool(2, **spec))
    health(bench, b2=Verdict.DOWN)
    health(bench)
    other = Bench(pool(2, policy="consistent_hash"))
    for number in range(50):
        request = head(client=f"key {number}")
        assert bench.serve(request) == other.serve(request)
