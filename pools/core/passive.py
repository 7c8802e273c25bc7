"""Passive health: ejecting backends by what requests meet (Envoy outlier detection).

Rules:
- So many failures in a row eject a backend; any other answer that ends well begins the
  count anew.
- It stays out for the base time, times how often it has been ejected, at most 300 s (or
  the base time where that is longer). For each base time of good behaviour since it came
  back one ejection is forgotten.
- A passing probe ends an ejection.
- At most a share of a pool is out at once, but one may be in any pool of two or more;
  and never the last backend that could be selected.
- Panic: where less than a share of the ready backends is selectable, their health is
  more likely a fault of ours, and the few would be overrun; so it is ignored.
"""

from __future__ import annotations

from pools.core import document

MAX_EJECTION_S = 300.0  # Envoy's max_ejection_time
MOST_CHARS = 200  # of a failure's words; a backend may have a say in them


class PassiveState:
    """One backend's failures and ejections, as one process saw them.

    `failures` are in a row, `words` are the last one's. `times` are remembered ejections,
    `until` is when the last of them ends or ended, and `why` what it was for.
    """

    __slots__ = ("failures", "times", "until", "why", "words")

    def __init__(self) -> None:
        self.failures = 0
        self.times = 0
        self.until = float("-inf")
        self.words = ""
        self.why = ""

    def ejected(self, now: float) -> bool:
        return now < self.until

    def failed(self, spec: document.Passive, words: str) -> bool:
        """Count a failure; True: the backend is due for ejection."""
        if not spec.failures:
            return False
        self.words = words
        self.failures = min(self.failures + 1, spec.failures)
        return self.failures == spec.failures

    def eject(self, spec: document.Passive, now: float) -> None:
        base = spec.base_ejection_s
        forgotten = int((now - self.until) / base) if self.times else 0
        self.times = max(self.times - forgotten, 0) + 1
        self.until = now + min(base * self.times, max(MAX_EJECTION_S, base))
        self.failures = 0
        run = f"{spec.failures} failed requests in a row, the last"
        words = " ".join(self.words.split())[:MOST_CHARS]
        self.why = f"{run if spec.failures > 1 else 'a failed request'}: {words}"

    def recover(self, now: float) -> None:
        """End the ejection and the count of failures; earlier ejections stay remembered."""
        self.failures = 0
        self.until = min(self.until, now)


def may_eject(
    spec: document.Passive, *, pool: int, ejected: int, others_selectable: int
) -> bool:
    """Whether one more backend may go, where `ejected` of the `pool` ready ones are out."""
    if not others_selectable or not spec.max_ejected_percent:
        return False
    return ejected < max(1, pool * spec.max_ejected_percent // 100)


def panics(spec: document.Passive, *, selectable: int, ready: int) -> bool:
    """Whether too few are selectable to go by health; 0 % never panics."""
    return selectable * 100 < ready * spec.panic_percent


def ignores_health(spec: document.Passive, *, primaries: int, backups: int, ready: int) -> bool:
    """Whether a pool is in panic with so many in good health of its ready backends. Where
    backups alone are, it is for them to step in."""
    if backups and not primaries:
        return False
    return panics(spec, selectable=primaries + backups, ready=ready)
