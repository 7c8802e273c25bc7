"""Rise and fall: what a probe's result makes of a backend's health.

Rules:
- From unknown the first probe decides, both ways (Envoy, HAProxy at start), so that a
  new backend waits for one probe and not for `rise` of them.
- From up, `fall` failures in a row make it down; from down, `rise` successes make it up.
- Counts saturate, so that steady health leaves the state as it is and costs no write.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What probes say of a backend. Unknown: not probed, or not lately; selectable."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProbeState:
    """A verdict, and the run of equal results that led here; one of the counts is 0."""

    verdict: Verdict = Verdict.UNKNOWN
    successes: int = 0
    failures: int = 0


def observe(state: ProbeState, ok: bool, *, rise: int, fall: int) -> tuple[ProbeState, bool]:
    """The state after one more probe, and whether the verdict flipped."""
    successes = min(state.successes + 1, rise) if ok else 0
    failures = 0 if ok else min(state.failures + 1, fall)
    verdict = state.verdict
    if ok and (verdict is Verdict.UNKNOWN or successes >= rise):
        verdict = Verdict.UP
    elif not ok and (verdict is Verdict.UNKNOWN or failures >= fall):
        verdict = Verdict.DOWN
    return ProbeState(verdict, successes, failures), verdict is not state.verdict
