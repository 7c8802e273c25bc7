"""What the view counts of exchanges."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import RequestFactory

from pools.control import counting, figures, watch
from pools.control.counting import Counting
from pools.core.engine import Engine
from pools.wsgi import arrival, records
from pools.wsgi.view import PoolProxyView
from tests.conformance.backends import OK
from tests.core.build import pool, snapshot

pytestmark = pytest.mark.django_db

DEAD = {"host": "127.0.0.1", "port": 9}


@pytest.fixture
def counted(monkeypatch):
    """Counters that are this test's alone; answers that end leave its database open."""
    monkeypatch.setattr(records, "_current", None)
    request_finished.disconnect(close_old_connections)
    yield records.current()
    request_finished.connect(close_old_connections)
    assert records.current().under_way() == 0
    counting.count_from(None)


@pytest.fixture
def routed(monkeypatch, counted):
    """Route all requests to a pool of these backends."""

    def route(*backends, **spec):
        made = snapshot(
            pool(list(backends), **spec),
            routes=[{"name": "all", "pool": "web", "hosts": ["a.test"]}],
        )
        engine = Engine(clock=time.monotonic, random=random.Random(1), snapshot=made)
        monkeypatch.setattr(watch, "engine", lambda: engine)
        monkeypatch.setattr(watch, "loaded", lambda: True)
        return engine

    arrival.header_rules.cache_clear()
    yield route
    arrival.header_rules.cache_clear()


def served(*, host="a.test", body=b""):
    make = RequestFactory(HTTP_HOST=host)
    request = make.post("/", body, content_type="text/plain") if body else make.get("/")
    return PoolProxyView.as_view()(request)


def read(response):
    with suppress(ConnectionResetError):
        list(response)
    response.close()


def address(backend):
    return {"host": "127.0.0.1", "port": backend.port}


def test_an_exchange_counts_by_route_and_backend(routed, counted, backend):
    routed(address(backend))
    backend.script = backend.answers(OK)
    read(served(body=b"four"))
    for traffic in (
        counted.counters.routes["all"],
        counted.counters.backends[f"web/127.0.0.1:{backend.port}"],
    ):
        assert (traffic.requests, traffic.statuses) == (1, [0, 0, 1, 0, 0, 0])
        assert (traffic.received_bytes, traffic.sent_bytes) == (4, 2)
        assert sum(traffic.latency) == 1
    assert not counted.counters.unserved


def test_a_request_that_no_backend_is_there_for_counts_in_its_pool(routed, counted):
    routed({**DEAD, "state": "maint"})
    served()
    assert counted.counters.unserved["web"].statuses[5] == 1
    assert not counted.counters.backends


def test_an_answer_that_breaks_off_counts_once_with_its_status(routed, counted, backend):
    routed(address(backend))
    backend.script = backend.closes_after(OK.replace(b": 2", b": 9"))
    read(served())
    assert counted.counters.routes["all"].statuses == [0, 0, 1, 0, 0, 0]


def test_a_client_that_leaves_during_the_answer_is_no_error(routed, counted, backend):
    routed(address(backend))
    backend.script = backend.closes_after(OK.replace(b": 2", b": 9"))
    served().close()
    assert counted.counters.routes["all"].statuses == [0, 0, 0, 0, 1, 0]


def test_retries_and_ejections_count_for_the_backend_that_failed(routed, counted, backend):
    engine = routed(
        {**DEAD, "weight": 256}, address(backend), passive={"failures": 1, "panic_percent": 0}
    )
    backend.script = backend.answers(OK)
    read(served())
    traffic = counted.counters.backends["web/127.0.0.1:9"]
    assert (traffic.failures, traffic.retries, traffic.ejections) == (1, 1, 1)
    assert (traffic.requests, counted.counters.routes["all"].requests) == (0, 1)
    assert engine.ejected() == {"web/127.0.0.1:9"}


def test_what_no_route_takes_counts_apart(routed, counted, monkeypatch):
    routed(DEAD)
    served(host="other.test")
    assert (counted.counters.unrouted, counted.counters.unready) == (1, 0)
    monkeypatch.setattr(watch, "loaded", lambda: False)
    served(host="other.test")
    assert (counted.counters.unrouted, counted.counters.unready) == (1, 1)
    assert not counted.counters.routes


def test_threads_together_count_each_request(routed, counted):
    engine = routed({**DEAD, "state": "maint"})
    ready = threading.Barrier(4)

    def work():
        request = RequestFactory(HTTP_HOST="a.test").get("/")
        arrived = arrival.receive(request.META)
        route = engine.match(arrived.head)
        ready.wait()
        for _ in range(500):
            exchange = engine.begin(route, arrived.head)
            counted.begin()
            counted.end(
                exchange, None, status=503, received_bytes=1, sent_bytes=2, took_s=0.001
            )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    traffic = counted.counters.routes["all"]
    assert (traffic.requests, sum(traffic.latency), traffic.sent_bytes) == (2000, 2000, 4000)


def test_what_the_configuration_has_no_more_is_dropped(routed, counted):
    engine = routed({**DEAD, "state": "maint"})
    served()
    counted.counters.backend("web/gone:80").requests += 1
    counted.tidy(engine)
    counted.tidy(engine)
    assert (set(counted.counters.routes), set(counted.counters.unserved)) == ({"all"}, {"web"})
    assert not counted.counters.backends


def test_the_figures_tell_of_it(routed, counted, backend):
    engine = routed(address(backend), DEAD, retry={"attempts": 1}, policy="random")
    backend.script = backend.answers(OK)
    counting.count_from(None)
    watching = Counting()
    counting.count_from(counting.Source(counted.counters, counted.under_way))
    answers = [served() for _ in range(10)]
    for answer in answers:
        read(answer)
    failed = sum(answer.status_code == 502 for answer in answers)
    watching.turn(engine, database=True)
    now = figures.latest()
    assert now.total.requests_per_s == now.pools["web"].requests_per_s == 1
    assert now.routes["all"].error_share == now.total.error_share == failed / 10
    key = f"web/127.0.0.1:{backend.port}"
    assert now.backends[key].requests_per_s == pytest.approx((10 - failed) / 10)
    assert now.backends[key].sent_bytes_per_s == pytest.approx((10 - failed) / 5)
