"""Health under failures of the prober itself: no wrong flip, no event twice."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from tests import services
from tests.prober import INTERVAL_S, PATIENCE_S
from tests.services import eventually


def test_two_beats_and_two_workers_probe_once_and_tell_each_flip_once(site):
    second = site.backends[1]
    with site.another("worker", "worker-two"), site.another("beat", "beat-two"):
        site.probed(3)  # by whichever of them
        before, since = len(site.book.events()), time.monotonic()
        site.probed(4)
        most = (time.monotonic() - since) / INTERVAL_S + 2
        assert all(one.asked_since(since) <= most for one in site.backends)
        second.mood = "down"
        site.all_are("up", "down", "up")
        second.mood = "up"
        site.all_are("up", "up", "up")
    assert site.book.events()[before:] == [
        (second.port, "up", "down"),
        (second.port, "down", "up"),
    ]


def test_a_worker_killed_in_mid_probe_leaves_no_mark_and_another_goes_on(site):
    first, *_ = site.backends
    before, failures = site.book.events(), site.book.failures()
    first.hold()
    eventually(lambda: first.holding, within_s=PATIENCE_S)
    site.killed("worker")
    first.let_go()
    assert site.book.failures() <= failures
    site.standing("worker")
    site.probed(2)
    site.all_are("up", "up", "up")
    assert site.book.events() == before


def test_a_worker_that_pauses_in_mid_probe_blames_no_backend(site):
    """Longer than the probe's time-out: what came meanwhile is there when it goes on."""
    first, *_ = site.backends
    worker, before = site.standing("worker"), site.book.events()
    first.hold()
    eventually(lambda: first.holding, within_s=PATIENCE_S)
    worker.send(signal.SIGSTOP)
    first.let_go()
    time.sleep(1.5)
    worker.send(signal.SIGCONT)
    site.probed(2)
    assert site.book.events() == before
    assert set(site.book.verdicts().values()) == {"up"}


def test_a_pause_beyond_three_intervals_is_a_gap_and_no_flip(site):
    worker = site.standing("worker")
    before, gaps = site.book.events(), len(site.book.gaps_s())
    worker.send(signal.SIGSTOP)
    time.sleep(4.5 * INTERVAL_S)
    worker.send(signal.SIGCONT)
    site.probed(2)
    assert site.book.events() == before
    assert site.book.gaps_s()[gaps:]


def test_a_redis_that_is_flushed_again_and_again_stops_nothing(of_servers):
    site = of_servers
    before = site.book.events()
    with redis.Redis.from_url(site.redis.url) as client:
        for _ in range(3):
            client.flushall()
            site.probed(2)
    assert site.book.events() == before


def test_a_redis_that_was_away_is_found_again(of_servers):
    site, before = of_servers, of_servers.book.events()
    site.redis.stop()
    site.standing("beat").says("ticks cannot be sent", within_s=PATIENCE_S)
    site.redis.start()
    site.probed(2)
    assert site.book.events() == before


def test_a_database_that_was_away_is_found_again(of_servers):
    site, before = of_servers, of_servers.book.events()
    site.postgres.stop()
    site.standing("worker").says("the database is away", within_s=PATIENCE_S)
    site.postgres.start()
    site.probed(2)
    assert site.book.events() == before
    assert set(site.book.verdicts().values()) == {"up"}


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory) -> Path:
    """A library that makes the wall clock settable, for one process."""
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    command = [services.program("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.mark.parametrize("jump", ["3600", "-3600"])
def test_a_clock_that_is_set_by_an_hour_flips_nothing_and_stops_nothing(
    of_files, preloaded, tmp_path, jump
):
    site, offset = of_files, tmp_path / "offset"
    offset.write_text("0")
    clock = {"LD_PRELOAD": str(preloaded), "CLOCK_OFFSET": str(offset)}
    with (
        site.another("beat", f"beat{jump}", **clock),
        site.another("worker", f"worker{jump}", **clock) as worker,
    ):
        site.well()
        before = site.book.events()
        site.backends[0].mood = "down"
        eventually(site.book.failures, within_s=PATIENCE_S)  # one more does not decide
        offset.write_text(jump)
        site.backends[0].mood = "up"
        worker.says("the clock jumped", within_s=PATIENCE_S)
        site.probed(2)
        eventually(lambda: not site.book.failures(), within_s=PATIENCE_S)
        assert site.book.events() == before
        assert all(seconds < 600 for seconds in site.book.gaps_s())
