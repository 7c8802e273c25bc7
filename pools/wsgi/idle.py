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

SWEEP_S = 5.0
TOTAL = 1024  # of a process, whatever its pools allow: each is a file descriptor


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
        # Each with the time up to which it may be used.
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
                until, connection = waiting.pop()
                self._count -= 1
                if not waiting:
                    del self._idle[key]
            if now < until and connection.is_quiet():
                return connection
            connection.close()

    def put(self, key: Hashable, connection: Connection, *, most: int, idle_s: float) -> None:
        """Keeps a connection whose answer was read to its end, for up to `idle_s`.

        It is one of at most `most` of its key: above that the oldest goes.
        """
        if not most or idle_s <= 0:
            connection.close()
            return
        now = self._clock()
        if now >= self._sweep_at or self._count >= TOTAL:
            self._sweep(now)
        closing = []
        with self._lock:
            waiting = self._idle.setdefault(key, deque())
            waiting.append((now + idle_s, connection))
            self._count += 1
            while waiting and (len(waiting) > most or now >= waiting[0][0]):
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
                # Not in order of time: backends may say how long.
                young = deque(entry for entry in waiting if now < entry[0])
                closing += [connection for until, connection in waiting if now >= until]
                self._count -= len(waiting) - len(young)
                if young:
                    self._idle[key] = young
                else:
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
