"""What beat asks of workers (pools.schedule), by name; the work itself stands elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from pools.control import keep, publish
from pools.health import rounds

logger = logging.getLogger("pools.health")

_away: set[str] = set()  # what the database's absence was already said about


@shared_task(name="pools.probe")
def probe() -> None:
    """Each second: probe what is due."""
    with _said_once("probing"):
        rounds.run_due(timezone.now())


@shared_task(name="pools.publish")
def publish_pending() -> None:
    """Every few seconds: publish what was changed past `publish.change`, and trim the past."""
    with _said_once("publishing"):
        publish.publish_pending()
        keep.trim()


@contextmanager
def _said_once(what: str) -> Iterator[None]:
    """The database may be away for long: a line when it goes and one when it is back."""
    try:
        yield
    except (InterfaceError, OperationalError) as error:
        if what not in _away:
            reason = str(error).splitlines()[0]
            logger.warning("%s pauses, the database is away: %s", what, reason)
        _away.add(what)
    else:
        if what in _away:
            logger.info("%s goes on, the database is back", what)
        _away.discard(what)
