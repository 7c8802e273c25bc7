"""prober: many at a time, stalls of its own, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from pools.core.document import Backend, Pool, Probe
from pools.core.probing import ProbeState
from pools.health import prober, probes
from pools.health.prober import Prober
from pools.health.probes import Result
from pools.health.rounds import Job, Round
from tests.services import eventually

NOW = timezone.now()
UP = Result(ok=True, reason="status 200", code=200, latency_ms=1.0)
SILENT = Result(ok=False, reason="timed out", latency_ms=1.0)


@pytest.fixture
def kept(monkeypatch):
    """What was recorded: ports with results, and the rounds that ended."""
    kept = type("Kept", (), {"found": [], "ended": [], "error": None})()

    def record(found, now):
        if kept.error:
            raise kept.error
        kept.found += [(job.spec.port, result) for job, result in found]

    monkeypatch.setattr(prober.clock, "now", timezone.now)
    monkeypatch.setattr(prober.recording, "record", record)
    monkeypatch.setattr(prober.rounds, "end", lambda ended, now: kept.ended.extend(ended))
    monkeypatch.setattr(prober.Buckets, "turn", lambda self, now: None)
    monkeypatch.setattr(prober.Buckets, "write", lambda self: None)
    return kept


@pytest.fixture
def ask(monkeypatch):
    """Set `ask.answer`, a coroutine function of a port."""

    async def up(port):
        return UP

    class Ask:
        answer = staticmethod(up)

    async def asked(asker, pool, backend, steps=None):
        return await Ask.answer(backend.port)

    monkeypatch.setattr(probes.Asker, "ask", asked)
    return Ask


@pytest.fixture
def started():
    running = []

    def start(concurrency=100):
        one = Prober(concurrency=concurrency)
        running.append(one)
        one.start()
        return one

    yield start
    for one in running:
        one.stop()


def claimed(*ports, spread_s=0.0, holds_s=3600.0):
    pool = Pool(name="web", probe=Probe())
    of = Round(
        pool=pool,
        pool_pk=1,
        asked=(),
        at=NOW,
        until=NOW + timedelta(seconds=holds_s),
        claimed_at=NOW,
        regular=True,
        spread_s=spread_s,
        late_s=0.0,
        began_before=None,
        stale_since=None,
        new=False,
    )
    of.jobs = [
        Job(
            of=of,
            pk=port,
            key=f"web/a:{port}",
            spec=Backend(host="a", port=port),
            state=ProbeState(),
            reason="",
            code=None,
            certificate_until=None,
            next_at=None,
        )
        for port in ports
    ]
    of.left = len(ports)
    return of


def test_what_probes_find_is_recorded_and_rounds_end(ask, kept, started):
    one = started()
    rounds = [claimed(1, 2, 3), claimed(4), claimed()]
    one.take(rounds, NOW)
    one.wait()
    assert sorted(kept.found) == sorted((port, UP) for port in (1, 2, 3, 4))
    assert set(map(id, kept.ended)) == set(map(id, rounds))


def test_no_more_than_so_many_at_a_time(ask, kept, started):
    active, most = 0, 0

    async def answer(port):
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.01)
        active -= 1
        return UP

    ask.answer = answer
    one = started(concurrency=3)
    one.take([claimed(*range(1, 31))], NOW)
    one.wait()
    assert most == 3
    assert len(kept.found) == 30
    assert one.figures.plain()["waiting"] == 0


def test_who_waits_until_its_claim_runs_out_is_not_asked(ask, kept, started, caplog):
    held = threading.Event()
    asked = []

    async def answer(port):
        asked.append(port)
        while not held.is_set():
            await asyncio.sleep(0.01)
        return UP

    ask.answer = answer
    one = started(concurrency=1)
    one.take([claimed(1)], NOW)
    eventually(lambda: asked)
    one.take([claimed(2, 3, holds_s=0.0), claimed(4)], NOW)
    eventually(lambda: one.figures.plain()["waiting"] == 3)
    held.set()
    one.wait()
    assert asked == [1, 4]
    assert sorted(one.whole for one in kept.ended) == [False, True, True]
    assert "web/a:2: its turn did not come in time" in caplog.text


def test_hanging_backends_hold_up_no_other(ask, kept, started):
    done = asyncio.Event()

    async def answer(port):
        if port > 2:
            await done.wait()
        return UP

    ask.answer = answer
    one = started(concurrency=1000)
    one.take([claimed(*range(1, 800))], NOW)
    eventually(lambda: len(kept.found) == 2)
    assert one.figures.plain()["in_flight"] == 797
    assert kept.ended == []


def test_probes_of_a_round_begin_one_after_the_other(ask, kept, started):
    begun = []

    async def answer(port):
        begun.append((port, time.monotonic()))
        return UP

    ask.answer = answer
    one = started()
    one.take([claimed(1, 2, 3, spread_s=0.3)], NOW)
    one.wait()
    assert [port for port, _ in begun] == [1, 2, 3]
    assert begun[2][1] - begun[0][1] > 0.15


def test_a_failure_that_spans_a_stall_of_ours_is_asked_again(ask, kept, started):
    """As after SIGSTOP: deadlines are over before anything that came could be read."""
    answers = iter([SILENT, UP])

    async def answer(port):
        result = next(answers)
        if result is SILENT:
            await asyncio.sleep(0)
            time.sleep(prober.STALL_S + 2 * prober.BEAT_S)
            await asyncio.sleep(2 * prober.BEAT_S)
        return result

    ask.answer = answer
    one = started()
    time.sleep(2 * prober.BEAT_S)
    one.take([claimed(1)], NOW)
    one.wait()
    assert kept.found == [(1, UP)]
    assert one.figures.plain()["asked_again"] == 1


def test_a_failure_of_its_own_counts_at_once(ask, kept, started):
    async def answer(port):
        await asyncio.sleep(3 * prober.BEAT_S)
        return SILENT

    ask.answer = answer
    one = started()
    one.take([claimed(1)], NOW)
    one.wait()
    assert kept.found == [(1, SILENT)]
    assert one.figures.plain()["failed"] == 1


def test_a_probe_that_cannot_be_made_judges_nobody(ask, kept, started, caplog):
    async def answer(port):
        if port == 1:
            raise RuntimeError("a mistake of ours")
        return UP

    ask.answer = answer
    one = started()
    one.take([claimed(1, 2)], NOW)
    one.wait()
    assert kept.found == [(2, UP)]
    assert [one.whole for one in kept.ended] == [False]
    assert "web/a:1 could not be probed" in caplog.text


def test_what_this_process_lacks_judges_nobody_and_is_said_once(
    ask, kept, started, caplog, monkeypatch
):
    caplog.set_level("INFO", "pools.health")
    lacking = Result(ok=False, reason="too many open files", latency_ms=1.0, ours=True)

    async def answer(port):
        return lacking

    ask.answer = answer
    one = started()
    for _ in range(2):
        one.take([claimed(1)], NOW)
        one.wait()
    assert kept.found == []
    assert [one.whole for one in kept.ended] == [False, False]
    assert one.figures.plain()["asked_again"] == 2

    async def up(port):
        return UP

    ask.answer = up
    one.take([claimed(1)], NOW)
    one.wait()
    assert kept.ended[-1].whole
    monkeypatch.setattr(prober, "LACKED_S", 0.0)
    one.take([claimed(1)], NOW)
    one.wait()
    assert caplog.messages == [
        "backends cannot be probed for what this process lacks: web/a:1: too many open files",
        "backends can be probed again",
    ]


def test_a_database_that_is_away_is_said_once_and_probing_goes_on(ask, kept, started, caplog):
    caplog.set_level("INFO", "pools.health")
    one = started()
    kept.error = OperationalError("connection refused\nIs it running?")
    for _ in range(2):
        one.take([claimed(1)], NOW)
        one.wait()
    assert kept.ended == []
    kept.error = None
    one.take([claimed(2)], NOW)
    one.wait()
    assert kept.found == [(2, UP)]
    assert caplog.messages == [
        "what probes find is not kept, the database is away: connection refused",
        "what probes find is kept again",
    ]


def test_a_round_of_which_results_were_lost_makes_no_news(ask, kept, started):
    held = threading.Event()

    async def answer(port):
        while port == 2 and not held.is_set():
            await asyncio.sleep(0.01)
        return UP

    ask.answer = answer
    kept.error = OperationalError("disk full")
    one = started()
    one.take([claimed(1, 2)], NOW)
    eventually(lambda: one._outage._lasts)
    kept.error = None
    held.set()
    one.wait()
    assert kept.found == [(2, UP)]
    assert [one.whole for one in kept.ended] == [False]


def test_its_end_drops_what_is_under_way_and_keeps_what_was_found(ask, kept):
    cancelled = threading.Event()

    async def answer(port):
        if port == 1:
            return UP
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return SILENT

    ask.answer = answer
    one = Prober(concurrency=10)
    one.start()
    one.take([claimed(1, 2)], NOW)
    eventually(lambda: one.figures.plain()["in_flight"] == 1)
    one.stop()
    assert cancelled.is_set()
    assert kept.found == [(1, UP)]


def test_nothing_more_begins_while_it_ends(ask, kept, caplog):
    begun, cancelled = [], threading.Event()

    async def answer(port):
        begun.append(port)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.sleep(0.2)  # as one that holds up the end
            begun.append("end")
            raise
        return UP

    ask.answer = answer
    one = Prober(concurrency=1000)
    one.start()
    one.take([claimed(*range(1, 500), spread_s=5.0)], NOW)
    eventually(lambda: begun)
    one.stop()
    assert cancelled.is_set()
    assert begun[begun.index("end") :] == ["end"] * begun.count("end")
    assert len(begun) == 2 * begun.count("end")
    del one
    gc.collect()
    assert "was destroyed" not in caplog.text


def test_lateness_is_told_of_the_latest_probe(ask, kept, started):
    one = started()
    late = claimed(1)
    late.late_s = 2.5
    one.take([late], NOW)
    one.wait()
    told = one.figures.plain()
    assert told["late_s"] >= 2.5
    assert (told["begun"], told["ended"], told["failed"]) == (1, 1, 0)
