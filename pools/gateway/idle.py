"""Connections to backends that wait for their next request.

Rules:
- The one used last is used first, so that a number larger than the traffic needs shrinks.
- One stays idle for less than its backend allows, as far as the backend says so.
- What a backend sends or ends while idle closes the connection: it carries no request.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pools.gateway.upstream import Upstream


class IdleConnections:
    """Idle connections by key; of one event loop."""

    __slots__ = ("_idle", "count")

    def __init__(self) -> None:
        self._idle: dict[Hashable, list[Upstream]] = {}
        self.count = 0

    def take(self, key: Hashable) -> Upstream | None:
        """The connection used last, or None."""
        waiting = self._idle.get(key)
        if not waiting:
            return None
        self.count -= 1
        return waiting.pop()

    def put(self, upstream: Upstream, *, most: int) -> None:
        """Keep a connection, of at most so many of its key; the one idle longest goes."""
        waiting = self._idle.get(upstream.key)
        if waiting is None:
            waiting = self._idle[upstream.key] = []
        waiting.append(upstream)
        self.count += 1
        if len(waiting) > most:
            waiting[0].close()
            self._pop(waiting, 0)

    def remove(self, upstream: Upstream) -> None:
        """Forget one, if it is here."""
        waiting = self._idle.get(upstream.key, ())
        for index, other in enumerate(waiting):
            if other is upstream:
                self._pop(self._idle[upstream.key], index)
                return

    def sweep(self, now: float) -> None:
        """Close what waited for its time."""
        for key, waiting in list(self._idle.items()):
            for upstream in [one for one in waiting if one.idle_until <= now]:
                waiting.remove(upstream)
                self.count -= 1
                upstream.close()
            if not waiting:
                del self._idle[key]

    def clear(self) -> None:
        idle, self._idle, self.count = self._idle, {}, 0
        for waiting in idle.values():
            for upstream in waiting:
                upstream.close()

    def _pop(self, waiting: list[Upstream], index: int) -> None:
        del waiting[index]
        self.count -= 1
