"""Troubles with the broker in the log: a line when one begins and a line when it is over.

Celery by itself writes a traceback a tick while beat cannot send, and a line for each time
that a worker tries to connect.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from celery.worker import consumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

from pools import ticking
from pools.outage import Outage
from pools.ticking import BrokerOutage

logger = logging.getLogger(__name__)

# The broker is asked again at least so often; Celery's half a minute is long for probes.
RETRY_AT_LEAST_EACH_S = 5
# What a clock is set right by, all the time, is less.
SET_BACK_S = 1.0


class Beat(Scheduler):
    """Celery's scheduler; what it could not send is not made up for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._outage = BrokerOutage(
            ticking.BEAT,
            logger,
            begun="ticks cannot be sent, nothing is probed",
            over="ticks are sent again",
        )
        self._ahead_s = time.time() - time.monotonic()  # of the wall clock
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Celery goes by the wall clock: set back by an hour, it would send nothing for one."""
        ahead_s = time.time() - time.monotonic()
        if ahead_s < self._ahead_s - SET_BACK_S:
            logger.warning("the clock was set back by %.0f s", self._ahead_s - ahead_s)
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self.populate_heap()
        self._ahead_s = ahead_s
        delay: float = super().tick(*args, **kwargs)
        return delay

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            self._outage.begins(error.__context__ or error)
        else:
            self._outage.over()

    def _ensure_connected(self) -> Connection:
        return _connected(self.connection, self._outage)


class Consumer(consumer.Consumer):
    """Celery's consumer, which connects again for ever."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._outage = BrokerOutage(
            ticking.WORKER,
            logger,
            begun="the worker has no broker, nothing is probed",
            over="the worker is connected again",
        )
        super().__init__(*args, **kwargs)

    def ensure_connected(self, conn: Connection) -> Connection:
        connected = _connected(conn, self._outage, callback=maybe_shutdown)
        self.first_connection_attempt = False
        self._outage.over()
        return connected


def _connected(connection: Connection, outage: Outage, **options: Any) -> Connection:
    return connection.ensure_connection(
        lambda error, interval: outage.begins(error),
        interval_max=RETRY_AT_LEAST_EACH_S,
        **options,
    )
