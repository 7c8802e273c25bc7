"""Connections to backends that wait for their next request."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pools.wsgi.connection import Connection

IDLE_S = 60.0  # nginx keepalive_timeout; what a backend closes earlier is noticed at reuse
SWEEP_S = 5.0
PER_KEY = 64
TOTAL = 1024


class IdleConnections:
    """Idle connections by key, the latest used first, bounded in time and number.

    The latest first, so that a pool larger than its traffic shrinks. Any use closes what
    waited too long under other keys, at most every SWEEP_S: backends that drain or go are
    let go of although no request for them comes. Thread-safe. A forked child starts empty:
    two processes on one connection would mix up their answers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reset()
        os.register_at_fork(after_in_child=self.clear_after_fork)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Hashable, deque[tuple[float, Connection]]] = {}
        self._count = 0
        self._sweep_at = self._clock() + SWEEP_S

    def take(self, key: Hashable) -> Connection | None:
        """The connection used last that is still open, or None."""
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep(now)
        while True:
            with self._lock:
                waiting = self._idle.get(key)
                if not waiting:
                    return None
                since, connection = waiting.pop()
                self._count -= 1
                if not waiting:
                    del self._idle[key]
            if now - since < IDLE_S and connection.is_quiet():
                return connection
            connection.close()

    def put(self, key: Hashable, connection: Connection) -> None:
        """Keeps a connection whose answer was read to its end."""
        now = self._clock()
        if now >= self._sweep_at or self._count >= TOTAL:
            self._sweep(now)
        closing = []
        with self._lock:
            waiting = self._idle.setdefault(key, deque())
            waiting.append((now, connection))
            self._count += 1
            while waiting and (len(waiting) > PER_KEY or now - waiting[0][0] >= IDLE_S):
                closing.append(waiting.popleft()[1])
                self._count -= 1
            if self._count > TOTAL:
                closing.append(waiting.pop()[1])
                self._count -= 1
            if not waiting:
                del self._idle[key]
        for each in closing:
            each.close()

    def _sweep(self, now: float) -> None:
        """Closes what waited too long under any key."""
        closing = []
        with self._lock:
            self._sweep_at = now + SWEEP_S
            for key, waiting in list(self._idle.items()):
                while waiting and now - waiting[0][0] >= IDLE_S:
                    closing.append(waiting.popleft()[1])
                    self._count -= 1
                if not waiting:
                    del self._idle[key]
        for each in closing:
            each.close()

    def clear(self) -> None:
        with self._lock:
            idle, self._idle, self._count = self._idle, {}, 0
        for waiting in idle.values():
            for _, connection in waiting:
                connection.close()

    def clear_after_fork(self) -> None:
        # Another thread of the parent may hold the lock for ever: a new one.
        idle = self._idle
        self._reset()
        for waiting in idle.values():
            for _, connection in waiting:
                connection.close()
