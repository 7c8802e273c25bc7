"""What beat and workers tell of themselves; tests/proxysite/test_missing.py has real ones."""

from __future__ import annotations

import logging
import os

import pytest

from pools import ticking
from pools.control import processes
from tests.services import eventually


@pytest.fixture(autouse=True)
def neither(monkeypatch):
    """This process is neither beat nor a worker."""
    ticks = {kind: ticking._Ticks() for kind in (ticking.BEAT, ticking.WORKER)}
    monkeypatch.setattr(ticking, "_of", ticks)
    return ticks


def test_a_beat_tells_when_it_sent_the_last_tick():
    assert ticking.report(ticking.BEAT)["last_sent_at"] is None
    ticking._sent()
    report = ticking.report(ticking.BEAT)
    assert report["last_sent_at"].endswith("Z")
    assert (report["broker"], report["idle_s"] < 5) == ("", True)


def test_a_worker_tells_of_its_prober(monkeypatch):
    ticking._received()
    assert ticking.report(ticking.WORKER)["probing"] == {}
    monkeypatch.setattr(ticking, "figures", lambda: {"probes": 7})
    report = ticking.report(ticking.WORKER)
    assert report["probing"] == {"probes": 7}
    assert report["last_tick_at"]


def test_a_broker_that_is_away_is_told_until_it_is_back():
    outage = ticking.BrokerOutage(
        ticking.WORKER, logging.getLogger("test"), begun="away", over="back"
    )
    outage.begins(ConnectionError("refused\nby 10.0.0.1"))
    assert ticking.report(ticking.WORKER)["broker"] == "refused"
    assert ticking.report(ticking.BEAT)["broker"] == ""
    outage.over()
    assert ticking.report(ticking.WORKER)["broker"] == ""


@pytest.mark.django_db(transaction=True)
def test_a_worker_has_a_row_from_its_start_to_its_end():
    ticking._worker_begins()
    (told,) = eventually(processes.living)
    assert str(told) == f"worker {processes.own_name()}"
    outage = ticking.BrokerOutage(
        ticking.WORKER, logging.getLogger("test"), begun="away", over="back"
    )
    outage.begins(ConnectionError("refused"))
    eventually(lambda: processes.read()[0].report["broker"] == "refused")
    ticking._worker_ends()
    ticking._worker_ends()
    assert processes.read() == []


@pytest.mark.django_db(transaction=True)
def test_a_forked_child_is_neither(neither):
    ticking._beat_begins()
    eventually(processes.living)
    child = os.fork()
    if child == 0:
        os._exit(0 if ticking._of[ticking.BEAT].teller is None else 1)
    _, status = os.waitpid(child, 0)
    ticking._ends()
    assert status == 0
    assert processes.read() == []
