"""What is missing, told apart: one cause is never reported as another's absence."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from pools.control import components
from pools.control.processes import GONE_AFTER_S, Told
from pools.models.process import ProcessKind

AT = datetime(2026, 11, 23, 9, 5, 8, tzinfo=UTC)


def told(kind: str, name: str = "a:1", *, age_s: float = 1.0, **report: object) -> Told:
    return Told(
        kind=ProcessKind(kind),
        name=name,
        started_at=AT,
        seen_at=AT - timedelta(seconds=age_s),
        age_s=age_s,
        report=report,
    )


def beat(**facts):
    return told("beat", **{"idle_s": 0.5, "broker": "", **facts})


def worker(**facts):
    return told("worker", **{"idle_s": 0.5, "broker": "", **facts})


def missing(*processes, problem="") -> dict[str, str]:
    """What is said of each part that is not there."""
    asked = components.broker("redis://r", problem, processes)
    parts = [asked, *components.ticking(processes, broker_ok=asked.ok)]
    parts += components.traffic(processes)
    assert all(part.mend for part in parts if not part.ok)
    return {part.name: part.says for part in parts if not part.ok}


GATEWAY = told("gateway", revision=3)


def test_nothing_is_missing():
    assert missing(beat(), worker(), GATEWAY) == {}


def test_beat_is_missing_and_the_worker_that_gets_no_ticks_is_not():
    assert missing(worker(idle_s=60), GATEWAY) == {"beat": "no beat has told of itself"}
    gone = beat(age_s=GONE_AFTER_S + 5)
    assert missing(gone, worker(idle_s=60), GATEWAY) == {
        "beat": "no beat has told of itself for 20 s"
    }


def test_a_worker_is_missing():
    gone = worker(age_s=60)
    assert missing(beat(), gone, GATEWAY) == {"worker": "no worker has told of itself for 60 s"}


def test_the_broker_is_missing_and_beat_and_worker_are_not():
    processes = (
        beat(idle_s=60, broker="refused", last_sent_at="2026-11-23T09:05:00Z"),
        worker(idle_s=60, broker="refused", last_tick_at="2026-11-23T09:04:59Z"),
        GATEWAY,
    )
    assert missing(*processes, problem="timed out") == {
        "broker": "timed out (redis://r); beat a:1: refused; worker a:1: refused"
    }
    asked = components.broker("redis://r", "timed out", processes)
    assert asked.since == datetime(2026, 11, 23, 9, 5, tzinfo=UTC)


def test_a_broker_that_beat_alone_cannot_reach_is_its_trouble():
    assert missing(beat(broker="no route", idle_s=60), worker(idle_s=60), GATEWAY) == {
        "broker": "beat a:1: no route"
    }


def test_a_broker_that_hangs_is_neither_beats_nor_the_workers_fault():
    said = missing(beat(idle_s=60), worker(idle_s=60), GATEWAY, problem="timed out")
    assert list(said) == ["broker"]


def test_a_worker_is_not_blamed_before_a_beat_that_died_counts_as_gone():
    silent = GONE_AFTER_S - 1
    assert missing(beat(age_s=silent), worker(idle_s=silent), GATEWAY) == {}


def test_who_is_there_and_does_nothing_is_told():
    assert missing(beat(idle_s=60), worker(idle_s=60), GATEWAY) == {
        "beat": "beat a:1 has sent no tick for 60 s"
    }
    assert missing(beat(), worker(idle_s=60), GATEWAY) == {
        "worker": "worker a:1 has had no tick for 60 s, though beat sends them"
    }


def test_two_beats_are_told_and_no_trouble():
    two = (beat(), beat(name="b:1"))
    part, _ = components.ticking(two, broker_ok=True)
    assert part.ok
    assert part.says.startswith("a:1, b:1 (one is enough")


def test_no_traffic_process_is_one_line():
    gone = told("gateway", age_s=90)
    assert missing(beat(), worker(), gone) == {
        "gateway": "no gateway or web process has told of itself for 90 s"
    }


def test_a_gateway_or_a_web_process_is_enough():
    gateway, web = components.traffic([told("web"), told("gateway", age_s=90)])
    assert (gateway.ok, gateway.says) == (True, "none")
    assert web.says == "a:1"
    gateway, _ = components.traffic([GATEWAY, told("gateway", "a:2", age_s=90)])
    assert gateway.says == "a:1; a:2 ended without a word"


def test_many_are_counted():
    gateway, _ = components.traffic([told("gateway", f"a:{n}") for n in range(8)])
    assert gateway.says == "a:0, a:1, a:2, a:3, a:4, 3 more"


def test_probing_in_one_word():
    assert components.probing([beat(), worker()]) == {
        "ok": True,
        "why": "",
        "beats": 1,
        "workers": 1,
    }
    stands = components.probing([beat(), worker(age_s=20)])
    assert (stands["ok"], stands["why"]) == (False, "no worker has told of itself for 20 s")


@pytest.mark.parametrize(
    ("age_s", "ok", "says"),
    [(1, True, "at work on this machine"), (600, None, "did nothing"), (None, None, "cannot")],
)
def test_without_the_database_files_tell_of_this_machine(tmp_path, age_s, ok, says):
    if age_s is not None:
        (tmp_path / "worker.alive").touch()
        at = time.time() - age_s
        os.utime(tmp_path / "worker.alive", (at, at))
    _, part = components.without_database(tmp_path)
    assert part.ok is ok
    assert part.says.startswith(says)
    assert [part.ok for part in components.without_database(None)] == [None, None]


def test_a_part_in_json():
    part, _ = components.ticking([beat(age_s=60), worker()], broker_ok=True)
    assert part.plain() == {
        "name": "beat",
        "ok": False,
        "says": "no beat has told of itself for 60 s",
        "since": "2026-11-23T09:04:08Z",
        "mend": "start beat: celery -A PROJECT beat (manage.py serve has one)",
    }
