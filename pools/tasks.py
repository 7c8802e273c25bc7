"""What beat asks of workers (pools.schedule), by name; the work itself stands elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import shared_task, signals
from django.db import InterfaceError, OperationalError, ProgrammingError

from pools import ticking
from pools.control import clock, keep, publish
from pools.health import worker
from pools.notify import alerts, delivery
from pools.outage import Outage

logger = logging.getLogger("pools.health")


def _outage(what: str) -> Outage:
    return Outage(
        logger,
        begun=f"{what} pauses, the database is away",
        over=f"{what} goes on, the database is back",
    )


ticking.figures = worker.figures
_probing, _publishing = _outage("probing"), _outage("publishing")
_notifying = _outage("notifying")


@shared_task(name="pools.probe")
def probe() -> None:
    """Each second: probe what is due."""
    with _survived(_probing):
        worker.tick()


@shared_task(name="pools.publish")
def publish_pending() -> None:
    """Every few seconds: publish what was changed past `publish.change`, and trim the past."""
    with _survived(_publishing):
        publish.publish_pending()
        keep.trim()


@shared_task(name="pools.notify")
def notify() -> None:
    """Every few seconds: write down what is wrong, and send what is to be told of it."""
    with _survived(_notifying):
        alerts.evaluate(clock.now())
        delivery.deliver(clock.now())


@signals.worker_shutdown.connect
def end(**kwargs: Any) -> None:
    """What was found is kept."""
    worker.stop()


@contextmanager
def _survived(outage: Outage) -> Iterator[None]:
    """The database may be away for long, or its migrations not be done yet, which PostgreSQL
    calls a ProgrammingError; the next tick tries again."""
    try:
        yield
    except (InterfaceError, OperationalError, ProgrammingError) as error:
        outage.begins(error)
    else:
        outage.over()
