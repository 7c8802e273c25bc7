"""Probing in this process: one prober, which begins with the first tick."""

from __future__ import annotations

import resource
import threading
import time
from datetime import datetime, timedelta
from typing import Any

from pools import conf
from pools.control import clock
from pools.health import recording
from pools.health.prober import Prober
from pools.health.rounds import AHEAD, Claims, Round

# Files that are open for other ends than probes: logs, the database, the broker.
FILES_BESIDE = 100


class Worker:
    """Claims what is due at each tick, and probes it."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._prober = Prober(concurrency=_concurrency())
        self._prober.start()

    def tick(self, now: datetime | None = None, *, ahead: timedelta = AHEAD) -> list[Round]:
        """Take what is due by `now` (of the database's clock) and `ahead`."""
        if now is None:
            since = time.monotonic()
            now = clock.ask()
            self._claims.look(now, since, time.monotonic())
        recording.forget_maintained(now)
        claimed = self._claims.claim(now, ahead=ahead)
        self._prober.take(claimed, now)
        return claimed

    def wait(self) -> None:
        self._prober.wait()

    def stop(self) -> None:
        self._prober.stop()

    def figures(self) -> dict[str, Any]:
        return self._prober.figures.plain()


def run_due(now: datetime) -> int:
    """Probe what is due, and return when all of it is recorded; how many backends it was."""
    worker = Worker()
    try:
        claimed = worker.tick(now, ahead=timedelta())
        worker.wait()
    finally:
        worker.stop()
    return sum(len(round_.jobs) for round_ in claimed)


_current: Worker | None = None
_beginning = threading.Lock()
_ticking = threading.Lock()


def tick() -> None:
    """What beat asks for each second. While one is under way, others have nothing to add:
    they waited in the queue, or the database is slow."""
    global _current
    if not _ticking.acquire(blocking=False):
        return
    try:
        with _beginning:
            if _current is None:
                _current = Worker()
            worker = _current
        worker.tick()
    finally:
        _ticking.release()


def stop() -> None:
    """For the end of the process: what was found is recorded."""
    global _current
    with _beginning:
        worker, _current = _current, None
    if worker:
        worker.stop()


def figures() -> dict[str, Any]:
    """What this process's prober does; nothing before its first tick."""
    return _current.figures() if _current else {}


def _concurrency() -> int:
    """As many as is set, or as this process may have files open."""
    wanted = conf.current().probe_concurrency
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + FILES_BESIDE:
        soft = wanted + FILES_BESIDE
        if hard != resource.RLIM_INFINITY:
            soft = min(soft, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - FILES_BESIDE))
