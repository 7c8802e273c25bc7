"""What a prober did in the last minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

SPAN_S = 60


@dataclass(slots=True)
class _Second:
    at: int
    begun: int = 0
    ended: int = 0
    failed: int = 0
    late_s: float = 0.0


class Figures:
    """Counted by the prober's loop; `plain` is for any thread."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.waiting = 0
        self.asked_again = 0
        self._seconds: deque[_Second] = deque(maxlen=SPAN_S)
        self._lock = threading.Lock()

    def begun(self, late_s: float) -> None:
        with self._lock:
            second = self._current()
            second.begun += 1
            second.late_s = max(second.late_s, late_s)

    def ended(self, ok: bool) -> None:
        with self._lock:
            second = self._current()
            second.ended += 1
            second.failed += not ok

    def plain(self) -> dict[str, float]:
        """Of the last minute, and what is open now; `late_s` is the latest probe's lateness."""
        since = int(time.monotonic()) - SPAN_S
        with self._lock:
            seconds = [second for second in self._seconds if second.at > since]
        return {
            "begun": sum(second.begun for second in seconds),
            "ended": sum(second.ended for second in seconds),
            "failed": sum(second.failed for second in seconds),
            "late_s": round(max((second.late_s for second in seconds), default=0.0), 2),
            "in_flight": self.in_flight,
            "waiting": self.waiting,
            "asked_again": self.asked_again,
        }

    def _current(self) -> _Second:
        at = int(time.monotonic())
        if not self._seconds or self._seconds[-1].at != at:
            self._seconds.append(_Second(at))
        return self._seconds[-1]
