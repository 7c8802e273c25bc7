import pytest

from pools.core.errors import NoBackendAvailable
from pools.core.retry import FailureKind
from tests.core.build import Bench, backends, cookie, failure, head, pool, snapshot

REPLAYABLE = {"replayable": True}
STALE = {"reused": True, "replayable": True}
ALL = ["connect", "error", "timeout", "http_502", "http_503", "http_504"]


def hosts_tried(exchange, report):
    """The backends that got an attempt, with `report` called after each."""
    tried = []
    while True:
        tried.append(exchange.acquire().backend.spec.host)
        if not report(exchange):
            return tried


def fails(**facts):
    return lambda exchange: exchange.fail(failure(**(REPLAYABLE | facts)))


def in_flight(bench):
    return sum(bench.in_flight().values())


# --- leases


def test_a_lease_lasts_until_close():
    bench = Bench(pool(1))
    exchange, _ = bench.hold()
    assert in_flight(bench) == 1
    assert exchange.respond(200, replayable=False) is False
    assert in_flight(bench) == 1
    exchange.close()
    exchange.close()
    assert in_flight(bench) == 0


def test_a_lease_ends_on_any_way_out():
    bench = Bench(pool(1))
    with pytest.raises(ZeroDivisionError), bench.begin() as exchange:
        exchange.acquire()
        raise ZeroDivisionError
    assert in_flight(bench) == 0


def test_nothing_is_held_before_acquire():
    bench = Bench(pool(1))
    exchange = bench.begin()
    assert (in_flight(bench), exchange.attempts) == (0, 0)
    assert not exchange.fail(failure())
    assert not exchange.respond(503, replayable=True)


def test_acquire_ends_the_lease_before_it():
    bench = Bench(pool(2))
    with bench.begin() as exchange:
        exchange.acquire()
        exchange.acquire()
        assert in_flight(bench) == 1


def test_a_refused_exchange_holds_nothing():
    bench = Bench(pool(1))
    with bench.begin() as exchange:
        exchange.acquire()
        with pytest.raises(NoBackendAvailable) as refused:
            exchange.acquire()
        assert refused.value.pool == "web"
        assert in_flight(bench) == 0


def test_a_closed_exchange_leases_nothing_more():
    exchange = Bench(pool(1)).begin()
    exchange.close()
    with pytest.raises(RuntimeError, match="closed"):
        exchange.acquire()


def test_a_client_that_leaves_is_no_failure_of_the_backend():
    bench = Bench(pool(2))
    for _ in range(50):
        exchange, _ = bench.hold()
        exchange.close()
    assert in_flight(bench) == 0
    assert not bench.engine.ejected()


# --- retries


def test_tries_go_to_different_backends_up_to_attempts():
    bench = Bench(pool(5))
    with bench.begin() as exchange:
        tried = hosts_tried(exchange, fails())
        assert exchange.attempts == 3
        assert in_flight(bench) == 0
    assert len(set(tried)) == len(tried) == 3


def test_no_further_attempt_where_all_backends_were_tried():
    with Bench(pool(2)).begin() as exchange:
        assert sorted(hosts_tried(exchange, fails())) == ["b1", "b2"]


def test_a_lone_backend_is_not_tried_again():
    with Bench(pool(1)).begin() as exchange:
        assert hosts_tried(exchange, fails(kind=FailureKind.CONNECT)) == ["b1"]


def test_a_retry_may_go_to_a_backup():
    listed = [*backends(1), {"host": "spare", "port": 80, "backup": True}]
    with Bench(pool(listed)).begin() as exchange:
        assert hosts_tried(exchange, fails()) == ["b1", "spare"]


@pytest.mark.parametrize("kind", FailureKind)
def test_only_what_the_pool_names_is_retried(kind):
    others = [word for word in ALL if word != kind.value]
    with Bench(pool(2, retry={"on": [kind.value]})).begin() as exchange:
        assert len(hosts_tried(exchange, fails(kind=kind))) == 2
    with Bench(pool(2, retry={"on": others})).begin() as exchange:
        assert len(hosts_tried(exchange, fails(kind=kind))) == 1


def test_post_is_not_resent_after_bytes_were_written():
    with Bench(pool(2)).begin(head("POST")) as exchange:
        assert len(hosts_tried(exchange, fails(bytes_sent=True))) == 1


def test_post_is_sent_elsewhere_when_no_connection_was_made():
    with Bench(pool(2)).begin(head("POST")) as exchange:
        report = fails(kind=FailureKind.CONNECT, bytes_sent=False)
        assert len(hosts_tried(exchange, report)) == 2


def test_retries_end_at_the_deadline():
    bench = Bench(pool(3, exchange_timeout_s=10.0))
    with bench.begin() as exchange:
        assert exchange.deadline == bench.clock() + 10.0
        exchange.acquire()
        bench.clock.advance(9)
        assert exchange.fail(failure(**REPLAYABLE))
        exchange.acquire()
        bench.clock.advance(1)
        assert not exchange.fail(failure(**REPLAYABLE))


def test_no_bound_means_no_deadline():
    assert Bench(pool(1)).begin().deadline is None


def test_retries_keep_to_the_budget():
    bench = Bench(pool(40))
    exchanges = [bench.hold()[0] for _ in range(10)]
    granted = [exchange.fail(failure(**REPLAYABLE)) for exchange in exchanges]
    assert granted == [True] * 3 + [False] * 7
    exchanges[0].close()
    with bench.begin() as another:
        assert len(hosts_tried(another, fails())) == 3  # one part, however many attempts


def test_an_answer_gives_the_budget_back_while_it_still_streams():
    bench = Bench(pool(9))
    streaming = []
    for _ in range(10):
        exchange, _ = bench.hold()
        assert exchange.fail(failure(**REPLAYABLE))
        exchange.acquire()
        assert not exchange.respond(200, replayable=False)
        streaming.append(exchange)
    for exchange in streaming:
        exchange.close()
    assert in_flight(bench) == 0


# --- answers


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_status_that_the_pool_retries_sends_the_request_elsewhere(status):
    bench = Bench(pool(3, retry={"on": [f"http_{status}"]}))
    with bench.begin() as exchange:
        report = lambda it: it.respond(status, replayable=True)  # noqa: E731
        assert len(hosts_tried(exchange, report)) == 3
        assert in_flight(bench) == 1  # the last answer is relayed, its lease is held


@pytest.mark.parametrize(
    ("method", "replayable", "on"),
    [("GET", True, []), ("GET", False, ["http_503"]), ("POST", True, ["http_503"])],
)
def test_a_status_is_relayed_where_a_retry_is_not_allowed(method, replayable, on):
    bench = Bench(pool(3, retry={"on": on}))
    with bench.begin(head(method)) as exchange:
        exchange.acquire()
        assert not exchange.respond(503, replayable=replayable)
        assert in_flight(bench) == 1


def test_nothing_is_tried_again_after_the_answer_began():
    bench = Bench(pool(3))
    with bench.begin() as exchange:
        exchange.acquire()
        exchange.respond(200, replayable=True)
        for facts in (REPLAYABLE, STALE):
            assert not exchange.fail(failure(**facts))
    assert in_flight(bench) == 0


@pytest.mark.parametrize("failures", [1, 2])
def test_a_backend_that_always_breaks_its_bodies_off_is_ejected(failures):
    bench = Bench(pool(2, passive={"failures": failures}))
    for _ in range(failures):
        for _ in range(2):
            exchange, host = bench.hold()
            exchange.respond(200, replayable=False)
            if host == "b1":
                exchange.fail(failure())
            exchange.close()
    assert bench.engine.ejected() == {"web/b1:80"}


# --- the free try


def test_a_kept_alive_connection_that_died_gets_one_fresh_try_on_the_same_backend():
    bench = Bench(pool(3, retry={"attempts": 1, "on": []}, passive={"failures": 1}))
    with bench.begin() as exchange:
        first = exchange.acquire()
        assert not first.fresh
        assert exchange.fail(failure(**STALE))
        second = exchange.acquire()
        assert second.fresh
        assert second.backend is first.backend
        assert exchange.attempts == 1
        assert in_flight(bench) == 1
        assert not bench.engine.ejected()
        # A second time it is no longer free, whatever the data plane says.
        assert not exchange.fail(failure(**STALE))
        assert bench.engine.ejected() == {first.backend.key}


def test_each_attempt_has_its_own_free_try():
    with Bench(pool(2)).begin() as exchange:
        tried = hosts_tried(exchange, fails(reused=True))
        assert tried[0] == tried[1] != tried[2] == tried[3]
        assert exchange.attempts == 2


def test_the_free_try_keeps_to_what_may_be_resent():
    bench = Bench(pool(3))
    for request, facts in [
        (head("POST"), STALE),
        (head("GET"), STALE | {"replayable": False}),
    ]:
        with bench.begin(request) as exchange:
            exchange.acquire()
            assert not exchange.fail(failure(**facts))
            assert in_flight(bench) == 0
    with bench.begin(head("POST")) as exchange:
        exchange.acquire()
        assert exchange.fail(failure(**STALE, bytes_sent=False))


def test_there_is_no_free_try_after_the_deadline():
    bench = Bench(pool(1, exchange_timeout_s=1.0))
    with bench.begin() as exchange:
        exchange.acquire()
        bench.clock.advance(1)
        assert not exchange.fail(failure(**STALE))


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.CONNECT])
def test_only_a_connection_that_broke_is_free(kind):
    bench = Bench(pool(2))
    with bench.begin() as exchange:
        first = exchange.acquire()
        assert exchange.fail(failure(kind, **STALE))
        second = exchange.acquire()
        assert second.backend is not first.backend and not second.fresh


# --- sticky cookies


def sticky_cookie(request=None, *, https=False, **sticky):
    bench = Bench(pool(1, sticky={"mode": "cookie", "cookie": "lb", **sticky}))
    with bench.begin(request) as exchange:
        exchange.acquire()
        return exchange.sticky_cookie(https=https)


def token():
    return snapshot(pool(1)).pools["web"].backends[0].token


@pytest.mark.parametrize(
    ("sticky", "https", "attributes"),
    [
        ({}, False, b"; Path=/; SameSite=Lax; HttpOnly"),
        ({}, True, b"; Path=/; SameSite=Lax; Secure; HttpOnly"),
        ({"secure": "always"}, False, b"; Path=/; SameSite=Lax; Secure; HttpOnly"),
        ({"secure": "never"}, True, b"; Path=/; SameSite=Lax; HttpOnly"),
        ({"http_only": False}, False, b"; Path=/; SameSite=Lax"),
        ({"ttl_s": 3600}, False, b"; Path=/; SameSite=Lax; Max-Age=3600; HttpOnly"),
        ({"same_site": "None"}, True, b"; Path=/; SameSite=None; Secure; HttpOnly"),
    ],
)
def test_a_new_client_gets_the_cookie_of_its_backend(sticky, https, attributes):
    assert sticky_cookie(https=https, **sticky) == b"lb=" + token() + attributes


def test_a_cookie_without_a_name_takes_its_pools():
    assert sticky_cookie(cookie="").startswith(b"proxysite_web=")


def test_a_client_with_the_right_cookie_gets_none():
    assert sticky_cookie(cookie(b"lb=" + token())) is None


@pytest.mark.parametrize("value", [b"lb=stale", b"other=" + b"0" * 64])
def test_a_client_with_another_cookie_gets_a_new_one(value):
    assert sticky_cookie(cookie(value)) is not None


def test_a_pool_that_is_not_sticky_sets_no_cookie():
    with Bench(pool(1)).begin() as exchange:
        exchange.acquire()
        assert exchange.sticky_cookie(https=True) is None


def test_there_is_no_cookie_without_a_backend():
    exchange = Bench(pool(1, sticky={"mode": "cookie"})).begin()
    assert exchange.sticky_cookie(https=True) is None


def test_a_second_report_on_an_attempt_takes_the_free_try_back():
    bench = Bench(pool(2))
    with bench.begin() as exchange:
        first = exchange.acquire()
        stale = failure(FailureKind.ERROR, bytes_sent=True, replayable=True, reused=True)
        assert exchange.fail(stale)
        assert exchange.fail(failure(FailureKind.CONNECT, bytes_sent=False, replayable=True))
        second = exchange.acquire()
        assert second.backend is not first.backend and not second.fresh


def test_ejected_backends_are_told():
    bench = Bench(pool(2, passive={"failures": 1, "panic_percent": 0}))
    exchange, host = bench.hold()
    assert exchange.ejected == ()
    exchange.fail(failure(**REPLAYABLE))
    assert [key.partition("/")[2].partition(":")[0] for key in exchange.ejected] == [host]
    exchange.close()


def test_backend_that_cannot_be_connected_to_costs_nothing_of_the_retry_budget():
    bench = Bench(pool(2, passive={"failures": 0}))
    held = [bench.begin() for _ in range(20)]
    for exchange in held:
        exchange.acquire()
    refused = failure(FailureKind.CONNECT, bytes_sent=False, replayable=True)
    assert all(exchange.fail(refused) for exchange in held)
    for exchange in held:
        exchange.close()


def test_what_this_process_lacks_ejects_nobody():
    """Such as files and ports, which a crowd of clients uses up; another is tried yet."""
    bench = Bench(pool(3, passive={"failures": 1}))
    with bench.begin() as exchange:
        exchange.acquire()
        lacking = failure(FailureKind.CONNECT, bytes_sent=False, replayable=True, ours=True)
        assert exchange.fail(lacking)
    assert not bench.engine.ejected()
    assert exchange.ejected == ()
