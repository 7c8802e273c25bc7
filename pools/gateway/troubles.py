"""What fails, in the log: each kind of trouble when it begins, and then how often.

A backend that is away fails thousands of requests a second: a line for each would be an
outage of its own. The access log has a line for each request, where it is on.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("pools.gateway")

REPEAT_S = 10.0
MOST = 1000  # kinds of trouble told apart at a time


class Troubles:
    """The troubles of one process, told apart by where they are and what they are."""

    __slots__ = ("_counts", "_since")

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._since = 0.0

    def add(self, where: str, what: str) -> None:
        """Say it if it is new, else count it. `what` names nothing of one request alone."""
        key = (where, what)
        count = self._counts.get(key)
        if count is not None:
            self._counts[key] = count + 1
        elif len(self._counts) < MOST:
            self._counts[key] = 0
            logger.warning("%s: %s", where, what)

    def sweep(self, now: float) -> None:
        """Say how often, every REPEAT_S; what did not occur again is over."""
        if not self._counts or now - self._since < REPEAT_S:
            return
        before, self._counts = self._counts, {}
        for (where, what), count in before.items():
            if count:
                logger.warning("%s: %s (%d more times)", where, what, count)
                self._counts[where, what] = 0
        self._since = now
