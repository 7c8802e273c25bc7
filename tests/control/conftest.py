from __future__ import annotations

from collections.abc import Iterator

import pytest

from pools.control import clock, counting, publish, watch
from tests.control.counted import Process, Time


@pytest.fixture(autouse=True)
def nothing_was_published(monkeypatch) -> None:
    """Ids begin anew with each test, so that rows of two can be the same."""
    monkeypatch.setattr(publish, "_compared", None)
    monkeypatch.setattr(publish, "_refused", "")


@pytest.fixture(autouse=True)
def no_thread_is_left(settings) -> Iterator[None]:
    """Watchers look when they are asked to and keep nothing; those of a test end with it."""
    settings.POOLS_POLL_INTERVAL_S = 0
    settings.POOLS_DATA_DIR = None
    yield
    watch.stop()


@pytest.fixture
def time(monkeypatch) -> Iterator[Time]:
    time = Time()
    monkeypatch.setattr(counting.time, "monotonic", lambda: time.monotonic)
    monkeypatch.setattr(clock, "ask", lambda: time.wall)
    monkeypatch.setattr(clock, "now", lambda: time.wall)
    yield time
    monkeypatch.undo()  # before others of the test's end ask for the time


@pytest.fixture
def process(time) -> Iterator[Process]:
    process = Process(time)
    process.turn()
    yield process
    counting.count_from(None)
