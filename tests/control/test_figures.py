"""figures: what is read of what processes wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from pools.control import figures
from pools.control.buckets import HOUR_S, MINUTES_S
from pools.core.counters import bucket
from pools.models import TrafficNow
from tests.control.counted import BEGIN, Process, go_on

pytestmark = pytest.mark.django_db

T0 = int(BEGIN.timestamp())


def at(series, seconds, name="requests_per_s"):
    """The value of the point that begins so long after BEGIN."""
    return getattr(series, name)[series.times.index(T0 + seconds)]


# --- now ---------------------------------------------------------------------------------


def test_without_any_process_there_is_nothing():
    found = figures.latest()
    assert found == figures.Figures()
    assert found.total == figures.Rates()
    assert (dict(found.pools), dict(found.backends), found.connections) == ({}, {}, 0)


def test_what_was_carried_is_told_by_pool_backend_and_route(process, time):
    process.connections = 7
    go_on(process, time, 60, requests=5)
    now = figures.latest()
    for rates in (
        now.total,
        now.pools["web"],
        now.backends["web/a:80"],
        now.routes["shop"],
    ):
        assert rates.requests_per_s == pytest.approx(0.5)
        assert rates.error_share == 0
        assert 8 < rates.p50_ms <= rates.p99_ms < 12
        assert rates.sent_bytes_per_s == pytest.approx(2.5)
        assert rates.received_bytes_per_s == pytest.approx(1.5)
    assert list(now.pools), list(now.backends) == (["web"], ["web/a:80"])
    assert now.connections == 7


def test_it_is_the_last_minute_that_is_told(process, time):
    go_on(process, time, 60, requests=100)
    go_on(process, time, 60, requests=0)
    now = figures.latest()
    assert (now.total.requests_per_s, now.total.error_share) == (0, None)
    assert "web/a:80" not in now.backends
    assert now.pools.get("web") is None
    assert len(now.backends) == 0


def test_a_process_that_has_just_begun_is_told_by_the_time_it_was_there_for(process, time):
    go_on(process, time, 10, requests=20)
    assert figures.latest().total.requests_per_s == pytest.approx(2)


def test_processes_are_told_together(process, time):
    other = Process(time)
    other.turn()
    other.connections = process.connections = 3
    for _ in range(6):
        process.carries(10, seconds=0.001)
        other.carries(10, status=503, seconds=0.1)
        other.carries(10, backend="web/b:80", status=0)
        time.passes(10)
        process.turn()
        other.turn()
    now = figures.latest()
    assert now.backends["web/a:80"].requests_per_s == pytest.approx(2)
    assert now.backends["web/a:80"].error_share == 0.5
    assert now.backends["web/a:80"].p50_ms < 2 < 80 < now.backends["web/a:80"].p99_ms
    assert now.pools["web"].error_share == pytest.approx(2 / 3)
    assert now.connections == 6


def test_a_process_that_was_killed_is_told_no_more_after_some_seconds(process, time):
    go_on(process, time, 60)
    time.passes(figures.FRESH_S + 1)
    assert figures.latest() == figures.Figures()
    assert TrafficNow.objects.exists()


def test_what_is_in_flight_is_told_by_pool_and_backend_without_a_request_too(process, time):
    process.engine.in_flight = lambda: {"web/a:80": 2, "web/b:80": 1, "api/a:80": 4}
    go_on(process, time, 10)
    now = figures.latest()
    assert {name: rates.in_flight for name, rates in now.backends.items()} == {
        "web/a:80": 2,
        "web/b:80": 1,
        "api/a:80": 4,
    }
    assert now.backends["web/b:80"].requests_per_s == 0
    assert {name: rates.in_flight for name, rates in now.pools.items()} == {"web": 3, "api": 4}
    assert now.total.in_flight == 7


def test_retries_and_ejections_are_told(process, time):
    process.counters.backend("web/a:80").retries += 20
    process.counters.backend("web/a:80").ejections += 2
    go_on(process, time, 10)
    for rates in (figures.latest().pools["web"], figures.latest().total):
        assert (rates.retries_per_s, rates.ejections) == (pytest.approx(2), 2)


def test_what_met_no_backend_is_an_error_of_its_pool(process, time):
    process.counters.of_no_backend("empty").count(5, 0, 0, bucket(0.001))
    go_on(process, time, 10, requests=0)
    now = figures.latest()
    assert now.pools["empty"].error_share == now.total.error_share == 1
    assert not now.backends


def test_a_name_of_one_kind_is_none_of_another(process, time):
    process.counters.route("web").count(2, 0, 0, 0)
    go_on(process, time, 10, requests=0)
    now = figures.latest()
    assert (set(now.routes), set(now.pools), set(now.backends)) == ({"web"}, set(), set())
    with pytest.raises(KeyError):
        now.pools["web"]


# --- over time ---------------------------------------------------------------------------


@pytest.mark.parametrize("window", figures.WINDOWS)
def test_points_are_evenly_spaced_and_lie_on_the_clock(window):
    width_s, length = figures.WINDOWS[window]
    found = figures.series(window)
    assert found.times == list(
        range(found.times[0], found.times[0] + width_s * length, width_s)
    )
    assert found.times[0] % width_s == 0
    lists = [value for value in found.plain().values() if isinstance(value, list)]
    assert {len(one) for one in lists} == {length}
    assert {value for one in lists[1:] for value in one} == {None}
    assert json.loads(json.dumps(found.plain()))["width_s"] == width_s


@pytest.mark.parametrize(
    "name", [{}, {"pool": "web"}, {"backend": "web/a:80"}, {"route": "shop"}]
)
def test_a_past_is_told_of_each_kind_of_name(process, time, name):
    process.connections = 3
    go_on(process, time, 120, requests=20)
    time.passes(5)
    found = figures.series("15m", **name)
    assert [value for value in found.requests_per_s if value is not None] == pytest.approx(
        [2.0] * 12
    )
    assert at(found, 0, "error_share") == 0
    assert 8 < at(found, 110, "p99_ms") < 12
    assert at(found, 0, "connections") == (None if name else 3)
    assert found.times[-1] == T0 + 110


def test_the_newest_point_is_one_that_is_over(process, time):
    go_on(process, time, 60)
    assert figures.series("15m").times[-1] == T0 + 40
    time.passes(2)
    assert figures.series("15m").times[-1] == T0 + 50


def test_who_carried_nothing_had_none_and_no_latency_and_nobody_knows_of_other_times(
    process, time
):
    go_on(process, time, 20)
    go_on(process, time, 20, requests=0)
    time.passes(5)
    found = figures.series("15m", backend="web/a:80")
    assert at(found, 20) == 0
    assert (at(found, 20, "p50_ms"), at(found, 20, "error_share")) == (None, None)
    assert at(found, -10) is None
    other = figures.series("15m", backend="web/other:80")
    assert at(other, 0) == 0


@pytest.mark.parametrize(("window", "width_s"), [("24h", MINUTES_S), ("7d", HOUR_S)])
def test_a_wide_point_is_told_before_it_is_over(process, time, window, width_s):
    process.connections = 4
    go_on(process, time, 120, requests=20)
    found = figures.series(window)
    assert at(found, 0) == pytest.approx(2)
    assert at(found, 0, "connections") == 4
    go_on(process, time, width_s - 120, requests=20)
    go_on(process, time, 120, requests=40)
    found = figures.series(window)
    assert at(found, 0) == pytest.approx(2)
    assert at(found, width_s) == pytest.approx(4)


def test_processes_that_followed_each_other_make_no_sum_of_connections(process, time):
    process.connections = 10
    go_on(process, time, 1800, requests=10)
    process.end()
    again = Process(time)
    again.connections = 10
    again.turn()
    go_on(again, time, 1800, requests=10)
    go_on(again, time, 90)
    found = figures.series("7d")
    assert at(found, 0) == pytest.approx(1)
    assert at(found, 0, "connections") == pytest.approx(10, rel=0.01)


def test_processes_at_once_do(process, time):
    other = Process(time)
    other.turn()
    process.connections, other.connections = 10, 5
    for begin in range(2):
        for one in (process, other):
            one.carries(10)
        time.passes(10.4 - begin * 0.5)
        process.turn()
        time.passes(0.5)
        other.turn()
    time.passes(5)
    found = figures.series("15m")
    assert at(found, 0, "connections") == 15
    assert at(found, 0) == pytest.approx(2, rel=0.1)


def test_a_window_that_is_none_is_said():
    with pytest.raises(ValueError, match="use 15m, 24h, 7d"):
        figures.series("1h")


def test_more_than_one_name_is_said():
    with pytest.raises(ValueError, match="no more than one"):
        figures.series("15m", pool="web", route="shop")


# --- what it costs -------------------------------------------------------------------------


def test_reading_takes_a_query_however_many_names_and_processes(
    process, time, django_assert_num_queries
):
    other = Process(time)
    other.turn()
    for one in (process, other):
        for port in range(300):
            one.carries(backend=f"p{port % 30}/a:{port}")
        time.passes(10)
        process.turn()
        other.turn()
    with django_assert_num_queries(1):
        now = figures.latest()
        assert (
            len(now.backends) == len([rates.p99_ms for rates in now.backends.values()]) == 300
        )
    for window in figures.WINDOWS:
        with django_assert_num_queries(1):
            figures.series(window, backend="p0/a:0")


def test_postgresql_keeps_and_gives_the_same(postgres_url, tmp_path):
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE figures")
    environment = {
        **os.environ,
        "DATABASE_URL": postgres_url.rpartition("/")[0] + "/figures",
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "proxysite.settings",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.control.carrying"],
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"requests": 5, "named": 5, "rows": 0}
