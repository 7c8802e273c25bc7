"""What an engine tells of itself: ejections, panic, who leaves, and counts of pools."""

import pytest

from pools.core.probing import Verdict
from pools.core.retry import FailureKind
from tests.core.build import Bench, backends, failure, pool


def of_two(**first):
    one, other = backends(2)
    return pool([one | first, other])


def hold(bench, host):
    """An exchange on this backend."""
    others = []
    while True:
        exchange, chosen = bench.hold()
        if chosen == host:
            break
        others.append(exchange)
    for other in others:
        other.close()
    return exchange


def test_as_usual_there_is_nothing_notable():
    bench = Bench(pool(2))
    held, _ = bench.hold()
    notable = bench.engine.notable()
    assert (notable.ejections, notable.panic, notable.leaving) == ((), (), ())
    held.close()


def test_an_ejection_is_told_with_its_time_left_and_what_it_was_for():
    bench = Bench(pool(2))
    bench.break_backend("b1")
    bench.clock.advance(10)
    (ejection,) = bench.engine.notable().ejections
    assert (ejection.key, ejection.for_s) == ("web/b1:80", 20.0)
    assert ejection.why == "5 failed requests in a row, the last: reset"
    bench.clock.advance(20)
    assert bench.engine.notable().ejections == ()


def test_a_bad_status_is_named_as_what_failed():
    bench = Bench(pool(2, passive={"failures": 1}))
    bench.serve(status=503)
    (ejection,) = bench.engine.notable().ejections
    assert ejection.why == "a failed request: status 503"


def test_who_leaves_is_told_while_something_is_in_flight():
    bench = Bench(of_two())
    first, second = hold(bench, "b1"), hold(bench, "b1")
    bench.swap(of_two(state="drain"))
    (leaving,) = bench.engine.notable().leaving
    assert (leaving.key, leaving.requests, leaving.tunnels) == ("web/b1:80", 2, 0)
    first.respond(101, replayable=False)
    first.becomes_tunnel()
    first.becomes_tunnel()
    (leaving,) = bench.engine.notable().leaving
    assert (leaving.requests, leaving.tunnels) == (1, 1)
    bench.swap(of_two(state="maint"))
    assert bench.engine.notable().leaving == (leaving,)
    first.close()
    second.close()
    assert bench.engine.notable().leaving == ()


def test_a_tunnel_is_one_until_its_exchange_ends():
    bench = Bench(pool(1))
    exchange, _ = bench.hold()
    exchange.becomes_tunnel()
    (status,) = bench.engine.status()
    assert (status.in_flight, status.tunnels) == (1, 1)
    exchange.fail(failure(FailureKind.ERROR))
    exchange.close()
    exchange.becomes_tunnel()
    (status,) = bench.engine.status()
    assert (status.in_flight, status.tunnels) == (0, 0)


def test_panic_is_told_without_traffic_and_ends_with_it():
    bench = Bench(pool(2), pool(2, name="api"))
    bench.engine.apply_health({"web/b1:80": Verdict.DOWN, "web/b2:80": Verdict.DOWN})
    assert bench.engine.notable().panic == ("web",)
    assert {told.name: told.panic for told in bench.engine.pools()} == {
        "web": True,
        "api": False,
    }
    bench.engine.apply_health({"web/b1:80": Verdict.DOWN})
    assert bench.engine.notable().panic == ()


@pytest.mark.parametrize(("percent", "available", "panic"), [(50, 3, True), (0, 1, False)])
def test_a_pool_is_told_with_its_counts(percent, available, panic):
    listed = [*backends(3), {"host": "b4", "port": 80, "state": "maint"}]
    bench = Bench(pool(listed, passive={"panic_percent": percent}))
    bench.engine.apply_health(
        {"web/b1:80": Verdict.DOWN, "web/b2:80": Verdict.DOWN, "web/b3:80": Verdict.UP}
    )
    (told,) = bench.engine.pools()
    assert [told.count(verdict) for verdict in Verdict] == [1, 2, 0]
    assert (told.leaving, told.available, told.panic) == (1, available, panic)
    assert [backend.key for backend in told.backends][3] == "web/b4:80"
