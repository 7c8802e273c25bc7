"""Requests that wait for a pool whose backends are full.

Rules:
- First come, first served; nobody overtakes who waits.
- A queue is bounded in number by the pool and in time by the sweep; beyond it is 503.
- A place that becomes free is offered at once; what else may make room (a new configuration,
  a backend that recovers) is seen at the next sweep.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol


class Waiter(Protocol):
    """A request that waits."""

    def place_offered(self) -> bool:
        """Whether it waits no longer: it took a place, or gave up."""


class Queues:
    """The queues of one event loop, by the pool's name."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, deque[Waiter]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def length(self, pool: str) -> int:
        return len(self._waiting.get(pool, ()))

    def add(self, pool: str, waiter: Waiter, *, most: int) -> bool:
        """Whether there was room in the pool's queue."""
        if self.length(pool) >= most:
            return False
        self._waiting.setdefault(pool, deque()).append(waiter)
        return True

    def remove(self, pool: str, waiter: Waiter) -> None:
        waiting = self._waiting.get(pool)
        if waiting and waiter in waiting:
            waiting.remove(waiter)
            self._tidy(pool)

    def released(self, pool: str) -> None:
        """A place became free. Those who wait are asked soon, not within this call."""
        if pool in self._waiting:
            self._loop.call_soon(self._offer, pool)

    def sweep(self) -> None:
        for pool in list(self._waiting):
            self._offer(pool)

    def _offer(self, pool: str) -> None:
        waiting = self._waiting.get(pool)
        while waiting:
            first = waiting[0]
            if not first.place_offered():
                return
            if waiting and waiting[0] is first:
                waiting.popleft()
        self._tidy(pool)

    def _tidy(self, pool: str) -> None:
        if not self._waiting.get(pool, True):
            del self._waiting[pool]
