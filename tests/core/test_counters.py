import json
import random

import pytest

from pools.core.counters import BOUNDS_S, Counters, Traffic, bucket, merge, quantiles_ms


def count(counters, *, route="shop", backend="web/a:80", seconds=0.01, status=200, requests=1):
    for _ in range(requests):
        for traffic in (counters.route(route), counters.backend(backend)):
            traffic.count(status // 100, 3, 5, bucket(seconds))


def test_what_is_counted_is_told_by_route_and_backend():
    counters = Counters()
    count(counters, requests=2)
    count(counters, route="api", status=503)
    counters.backend("web/a:80").connects += 1
    counters.of_no_backend("web").count(5, 0, 0, 0)
    told = json.loads(json.dumps(counters.plain()))
    assert told["unserved"]["web"]["statuses"] == [0, 0, 0, 0, 0, 1]
    assert told["routes"]["shop"]["requests"] == 2
    assert told["routes"]["shop"]["statuses"] == [0, 0, 2, 0, 0, 0]
    assert told["routes"]["api"]["statuses"] == [0, 0, 0, 0, 0, 1]
    assert told["backends"]["web/a:80"]["received_bytes"] == 9
    assert told["backends"]["web/a:80"]["sent_bytes"] == 15
    assert told["backends"]["web/a:80"]["connects"] == 1
    assert "connects" not in told["routes"]["shop"]


def test_the_same_name_gives_the_same_traffic():
    counters = Counters()
    assert counters.route("shop") is counters.route("shop")
    assert counters.backend("web/a:80") is counters.backend("web/a:80")


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-9, 3.0, 1e9, float("inf")])
def test_any_time_is_counted_once(seconds):
    traffic = Traffic()
    traffic.count(2, 0, 0, bucket(seconds))
    assert sum(traffic.latency) == 1


def test_quantiles_are_right_within_a_bucket():
    chance = random.Random(1)
    times = sorted(chance.lognormvariate(-4, 1.5) for _ in range(10_000))
    traffic = Traffic()
    for seconds in times:
        traffic.count(2, 0, 0, bucket(seconds))
    told = quantiles_ms(traffic.latency)
    for name, quantile in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99)):
        exact = times[int(quantile * len(times))] * 1000
        assert exact / 2**0.25 <= told[name] <= exact * 2**0.25


def test_quantiles_of_nothing_are_none():
    assert set(quantiles_ms([]).values()) == {None}


def test_times_beyond_the_last_bound_are_told_as_that_bound():
    traffic = Traffic()
    traffic.count(2, 0, 0, bucket(1e9))
    assert quantiles_ms(traffic.latency)["p50_ms"] == BOUNDS_S[-1] * 1000


def test_merging_workers_gives_what_one_would_have_counted():
    first, second, both = Counters(), Counters(), Counters()
    for counters, others in ((first, 0), (second, 2)):
        for target in (counters, both):
            count(target, seconds=0.002 + others, requests=3)
            count(target, route=f"only {others}", backend=f"web/{others}:80")
            target.connections += 7
            target.backend("web/a:80").retries += 1
    told = [json.loads(json.dumps(one.plain())) for one in (first, second)]
    before = json.dumps(told)
    assert merge(told) == both.plain()
    assert merge([]) == Counters().plain()
    assert json.dumps(told) == before


def test_merging_refuses_what_is_of_another_form():
    plain = Counters().plain()
    del plain["refused"]
    with pytest.raises(KeyError):
        merge([plain])


def test_what_is_gone_is_forgotten_once_it_is_idle():
    counters = Counters()
    count(counters)
    count(counters, route="api", backend="web/b:80")
    counters.of_no_backend("gone").count(5, 0, 0, 0)
    counters.of_no_backend("web").count(5, 0, 0, 0)
    counters.forget({"api"}, {"web/b:80"}, {"web"})
    assert set(counters.routes) == {"shop", "api"}  # it had requests since the last look
    counters.forget({"api"}, {"web/b:80"}, {"web"})
    assert set(counters.unserved) == {"web"}
    assert set(counters.routes) == {"api"}
    assert set(counters.backends) == {"web/b:80"}
