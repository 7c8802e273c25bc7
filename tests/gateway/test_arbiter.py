"""The master's bookkeeping; what it does with real workers is in test_worker.py."""

import time

import pytest

from pools.conf import Conf
from pools.gateway import arbiter
from pools.gateway.arbiter import Application, Arbiter, Plan


@pytest.fixture
def master(monkeypatch):
    """One for two workers, that forks nothing; `started` counts, `at` is the time."""

    class Master(Arbiter):
        started, at = 0, 1000.0

        def spawn_worker(self):
            self.started += 1  # and it ends at once

    made = Master(Application(Plan(conf=Conf(), listeners=[], workers=2)))
    monkeypatch.setattr(time, "monotonic", lambda: made.at)
    return made


def test_workers_that_end_as_they_begin_are_not_started_all_the_time(master):
    for _ in range(5):
        master.manage_workers()
    assert master.started == 2
    master.at += arbiter.RESPAWN_S
    master.manage_workers()
    assert master.started == 4


@pytest.mark.parametrize("longer", ["drain_timeout_s", "tunnel_drain_timeout_s"])
def test_a_worker_may_take_longer_to_end_than_either_grace(longer):
    plan = Plan(conf=Conf(**{longer: 100.0}), listeners=[])
    assert plan.grace_s > 100.0
    assert Application(plan).cfg.graceful_timeout > 100.0
