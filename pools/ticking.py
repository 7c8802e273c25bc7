"""Beat and workers tell of themselves: ticks, and the broker as each sees it.

    worker  {"last_tick_at": when it last got one, "idle_s": seconds since then,
             "broker": what is wrong with it or "", "probing": figures of the prober}
    beat    {"last_sent_at": ..., "idle_s": ..., "broker": ...}

Celery's signals drive it, in any project whose workers and beat load pools.tasks. Nothing of
Django is imported before one of them starts: a project's celery.py may come before the apps.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import signals

from pools.outage import Outage

if TYPE_CHECKING:
    from pools.control.processes import Teller

BEAT, WORKER = "beat", "worker"

# What a worker tells of its prober. Who has some puts another callable in its place.
figures: Callable[[], dict[str, Any]] = dict


class _Ticks:
    """Those of a beat or a worker of this process."""

    def __init__(self) -> None:
        self.last_at: datetime | None = None
        self._last = time.monotonic()
        self.broker = ""
        self.teller: Teller | None = None

    def tick(self) -> None:
        self.last_at, self._last = datetime.now(UTC), time.monotonic()

    def report(self) -> dict[str, Any]:
        return {"idle_s": round(time.monotonic() - self._last, 1), "broker": self.broker}


_of = {BEAT: _Ticks(), WORKER: _Ticks()}


class BrokerOutage(Outage):
    """An outage that the row of a beat or a worker of this process tells of, too."""

    def __init__(self, kind: str, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._kind = kind

    def begins(self, error: BaseException) -> None:
        super().begins(error)
        self._tell(str(error).partition("\n")[0] or repr(error))

    def over(self) -> None:
        super().over()
        self._tell("")

    def _tell(self, problem: str) -> None:
        ticks = _of[self._kind]
        changed, ticks.broker = ticks.broker != problem, problem
        if changed and ticks.teller:
            ticks.teller.changed()


def report(kind: str) -> dict[str, Any]:
    """What is told of this process as a beat or a worker."""
    ticks = _of[kind]
    last_at = f"{ticks.last_at:%Y-%m-%dT%H:%M:%SZ}" if ticks.last_at else None
    if kind == BEAT:
        return {"last_sent_at": last_at, **ticks.report()}
    return {"last_tick_at": last_at, **ticks.report(), "probing": figures()}


def _begin(kind: str) -> None:
    from pools.control.processes import Teller  # Django is there by now
    from pools.models.process import ProcessKind

    ticks = _of[kind] = _Ticks()
    ticks.teller = Teller(ProcessKind(kind), lambda: report(kind))
    ticks.teller.start()


def _end(kind: str) -> None:
    teller, _of[kind].teller = _of[kind].teller, None
    if teller:
        teller.stop()


@signals.beat_init.connect
def _beat_begins(**kwargs: Any) -> None:
    _begin(BEAT)


# Before it has a broker, which may be away for long.
@signals.celeryd_after_setup.connect
def _worker_begins(**kwargs: Any) -> None:
    _begin(WORKER)


@signals.after_task_publish.connect
def _sent(**kwargs: Any) -> None:
    _of[BEAT].tick()


@signals.task_received.connect
def _received(**kwargs: Any) -> None:
    _of[WORKER].tick()


@signals.worker_shutdown.connect
def _worker_ends(**kwargs: Any) -> None:
    _end(WORKER)


@atexit.register
def _ends() -> None:
    for kind in _of:
        _end(kind)


def _forget() -> None:
    """In a forked child: it is neither of them."""
    for kind in _of:
        _of[kind] = _Ticks()


os.register_at_fork(after_in_child=_forget)
