import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from pools.core.document import AdminState
from pools.core.engine import Engine
from pools.core.errors import NoBackendAvailable
from pools.core.probing import Verdict
from tests.core.build import Bench, Clock, backends, failure, head, pool, snapshot


def test_an_engine_without_a_snapshot_matches_nothing():
    engine = Engine(clock=Clock(), random=random.Random(1))
    assert engine.match(head()) is None
    assert (engine.status(), engine.ejected(), engine.snapshot.revision) == ((), frozenset(), 0)


def test_match_follows_the_snapshot_in_force():
    engine = Engine(clock=Clock(), random=random.Random(1))
    engine.swap(snapshot(pool(1)))
    found = engine.match(head(path="/web/x"))
    assert found is not None and found.pool.name == "web"
    engine.swap(snapshot(pool(1, name="api"), revision=2))
    assert engine.match(head(path="/web/x")) is None
    assert engine.snapshot.revision == 2


# --- swapping


def test_state_survives_a_swap():
    bench = Bench(pool(3))
    held, host = bench.hold()
    bench.break_backend("b3")
    bench.swap(pool(4), pool(1, name="other"))
    assert bench.in_flight() == {
        **{f"web/b{number}:80": int(host == f"b{number}") for number in range(1, 5)},
        "other/b1:80": 0,
    }
    assert bench.engine.ejected() == {"web/b3:80"}
    held.close()
    assert set(bench.in_flight().values()) == {0}


def test_turns_go_on_after_a_swap_that_changes_no_weight():
    bench = Bench(pool(3))
    order = [bench.serve() for _ in range(2)]
    bench.swap(pool(3, response_timeout_s=1.0))
    assert len({*order, bench.serve()}) == 3


def test_a_weight_cut_down_leaves_no_debt():
    bench = Bench(pool([*backends(1, weight=256), {"host": "b2", "port": 80, "weight": 255}]))
    bench.serve()
    bench.swap(pool(2))
    assert sorted(bench.serve_many(2)) == ["b1", "b2"]


def test_leases_of_removed_backends_and_pools_end_well():
    bench = Bench(pool(2), pool(1, name="other"))
    held = [bench.hold()[0], bench.hold()[0], bench.begin(pool="other")]
    held[2].acquire()
    bench.swap(pool(1))
    assert bench.in_flight() == {"web/b1:80": 1}
    for exchange in held:
        exchange.respond(200, replayable=False)
        exchange.close()
    assert bench.in_flight() == {"web/b1:80": 0}


def test_what_is_in_flight_counts_again_when_a_backend_or_pool_comes_back():
    bench = Bench(pool(2), pool(1, name="other"))
    held = [bench.hold()[0], bench.hold()[0], bench.begin(pool="other")]
    held[2].acquire()
    bench.swap(pool(1))
    bench.swap(pool(2), pool(1, name="other"))
    assert set(bench.in_flight().values()) == {1}
    for exchange in held:
        exchange.close()
    assert set(bench.in_flight().values()) == {0}


def test_an_exchange_under_way_gets_no_attempt_on_a_backend_that_now_drains():
    bench = Bench(pool(2))
    exchange = bench.begin()
    listed = backends(2)
    listed[0]["state"] = "drain"
    bench.swap(pool(listed))
    assert exchange.acquire().backend.spec.host == "b2"


def test_a_route_whose_pool_has_just_gone_is_served_once_more():
    bench = Bench(pool(2))
    route = bench.engine.match(head(path="/web"))
    assert route is not None
    bench.swap()
    with bench.engine.begin(route, head()) as exchange:
        assert exchange.acquire().backend.pool == "web"


def test_verdicts_hold_for_backends_that_come_later():
    bench = Bench(pool(1))
    bench.engine.apply_health({"web/b2:80": Verdict.DOWN})
    bench.swap(pool(2))
    assert set(bench.serve_many(4)) == {"b1"}


def test_a_pool_of_another_name_is_another_pool():
    bench = Bench(pool(2))
    bench.break_backend("b1")
    bench.swap(pool(2, name="renamed"))
    assert not bench.engine.ejected()


# --- telling


def statuses(bench):
    return {
        status.key.removeprefix("web/").removesuffix(":80"): (status.available, status.why)
        for status in bench.engine.status()
    }


def test_status_says_of_each_backend_what_keeps_it():
    listed = backends(8)
    listed[0]["state"] = "maint"
    listed[1]["state"] = "drain"
    listed[2]["weight"] = 0
    listed[3]["max_in_flight"] = 1
    bench = Bench(pool(listed))
    bench.break_backend("b5")
    bench.engine.apply_health({"web/b6:80": Verdict.DOWN, "web/b7:80": Verdict.UP})
    held = [bench.hold()[0] for _ in range(3)]
    assert statuses(bench) == {
        "b1": (False, "in maintenance"),
        "b2": (False, "draining"),
        "b3": (False, "weight 0"),
        "b4": (False, "full: 1 of 1 in flight"),
        "b5": (False, "ejected for 30 s: 5 failed requests in a row, the last: reset"),
        "b6": (False, "probes say down"),
        "b7": (True, ""),
        "b8": (True, ""),
    }
    status = bench.engine.status()
    assert (status[0].state, status[0].pool) == (AdminState.MAINT, "web")
    assert [status[index].verdict for index in (5, 6, 7)] == [
        Verdict.DOWN,
        Verdict.UP,
        Verdict.UNKNOWN,
    ]
    assert status[4].ejected_for_s == 30.0
    for exchange in held:
        exchange.close()


def test_status_tells_of_panic():
    bench = Bench(pool(2))
    bench.engine.apply_health({"web/b1:80": Verdict.DOWN, "web/b2:80": Verdict.DOWN})
    told = (True, "probes say down, but so many are out that health is ignored (panic)")
    assert statuses(bench) == {"b1": told, "b2": told}


def test_status_is_up_to_date_without_traffic():
    bench = Bench(pool(2))
    bench.break_backend("b1")
    bench.clock.advance(30)
    assert statuses(bench) == {"b1": (True, ""), "b2": (True, "")}


# --- threads


def test_many_threads_and_swaps_leave_nothing_in_flight():
    bench = Bench(pool(3, max_in_flight=2))

    def client(number):
        for round_ in range(100):
            with bench.begin() as exchange:
                try:
                    exchange.acquire()
                    if (number + round_) % 3 == 0:
                        if exchange.fail(failure(replayable=True)):
                            exchange.acquire()
                    else:
                        exchange.respond(200, replayable=False)
                except NoBackendAvailable:
                    continue
        return number

    with ThreadPoolExecutor(8) as threads:
        clients = [threads.submit(client, number) for number in range(8)]
        for round_ in range(30):
            bench.swap(pool(2 + round_ % 3, max_in_flight=2))
            bench.engine.apply_health({"web/b1:80": Verdict.DOWN})
            bench.engine.recovered(["web/b2:80"])
            assert all(status.in_flight <= 2 for status in bench.engine.status())
        assert [done.result() for done in clients] == list(range(8))
    assert set(bench.in_flight().values()) == {0}


@pytest.mark.parametrize("missing", ["/", "/webx"])
def test_what_no_route_takes_is_none(missing):
    assert Bench(pool(1)).engine.match(head(path=missing)) is None


def test_what_is_in_flight_is_told_by_backend_also_of_those_that_are_gone():
    bench = Bench(pool(2))
    assert bench.engine.in_flight() == {}
    first, _ = bench.hold()
    second, _ = bench.hold()
    assert bench.engine.in_flight() == {"web/b1:80": 1, "web/b2:80": 1}
    bench.swap(pool(1, name="other"))
    first.close()
    assert sum(bench.engine.in_flight().values()) == 1
    second.close()
    assert bench.engine.in_flight() == {}
