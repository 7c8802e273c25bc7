"""Health under failures of the prober itself: no wrong flip, no event twice."""

from __future__ import annotations

import signal
import time

import redis

from tests.prober import INTERVAL_S, PATIENCE_S
from tests.services import eventually


def test_two_beats_and_two_workers_probe_once_and_tell_each_flip_once(site):
    first, second, third = site.backends
    for name in ("one", "two"):
        site.run("worker", name)
        site.run("beat", f"beat-{name}")
    site.well()
    before, since = len(site.book.events()), time.monotonic()
    site.probed(5)
    assert all(one.closest_s(since) > INTERVAL_S / 2 for one in site.backends)
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
    victim = site.run("worker", "victim")
    site.run("beat")
    site.well()
    before = site.book.events()
    first.hold()
    eventually(lambda: first.holding, within_s=PATIENCE_S)
    victim.kill()
    first.let_go()
    assert site.book.failures() == 0
    site.run("worker", "next")
    site.probed(3)
    site.all_are("up", "up", "up")
    assert [one for one in site.book.events() if one not in before] == []


def test_a_worker_that_pauses_in_mid_probe_blames_no_backend(site):
    """Longer than the probe's time-out: what came meanwhile is there when it goes on."""
    first, *_ = site.backends
    worker = site.run("worker")
    site.run("beat")
    site.well()
    before = site.book.events()
    first.hold()
    eventually(lambda: first.holding, within_s=PATIENCE_S)
    worker.send(signal.SIGSTOP)
    first.let_go()
    time.sleep(1.5)
    worker.send(signal.SIGCONT)
    site.probed(3)
    assert site.book.events() == before
    assert set(site.book.verdicts().values()) == {"up"}


def test_a_pause_beyond_three_intervals_is_a_gap_and_no_flip(site):
    worker = site.run("worker")
    site.run("beat")
    site.well()
    site.probed()
    before, gaps = site.book.events(), site.book.gaps()
    worker.send(signal.SIGSTOP)
    time.sleep(5 * INTERVAL_S)
    worker.send(signal.SIGCONT)
    site.probed(3)
    assert site.book.events() == before
    assert site.book.gaps() == gaps + 1


def test_a_redis_that_is_flushed_again_and_again_stops_nothing(of_servers):
    site = of_servers
    site.run("worker")
    site.run("beat")
    site.well()
    before, gaps = site.book.events(), site.book.gaps()
    with redis.Redis.from_url(site.redis.url) as client:
        for _ in range(3):
            client.flushall()
            site.probed(3)
    assert site.book.events() == before
    assert site.book.gaps() == gaps


def test_a_redis_that_was_away_is_found_again(of_servers):
    site = of_servers
    site.run("worker")
    beat = site.run("beat")
    site.well()
    before = site.book.events()
    site.redis.stop()
    beat.says("ticks cannot be sent", within_s=PATIENCE_S)
    site.redis.start()
    site.probed(3)
    assert site.book.events() == before


def test_a_database_that_was_away_is_found_again(of_servers):
    site = of_servers
    worker = site.run("worker")
    site.run("beat")
    site.well()
    before = site.book.events()
    site.postgres.stop()
    worker.says("the database is away", within_s=PATIENCE_S)
    site.postgres.start()
    site.probed(3)
    assert site.book.events() == before
    assert set(site.book.verdicts().values()) == {"up"}
