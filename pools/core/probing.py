"""Rise and fall: what a probe's result makes of a backend's health.

Rules:
- From unknown the first probe decides, both ways (Envoy, HAProxy at start), so that a
  new backend waits for one probe and not for `rise` of them.
- From up, `fall` failures in a row make it down; from down, `rise` successes make it up.
- Counts saturate, so that steady health leaves the state as it is and costs no write.
- Between up and down, where the last probes say otherwise than the verdict, a backend is
  probed at its fast interval; down, at its down interval (HAProxy fastinter, downinter).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pools.core.document import Probe

STALE_INTERVALS = 3  # without a round; then verdicts are unknown
TICK_S = 1.0  # how often what is due is looked for
# A pool's backends are not probed at one moment, but over this share of its interval.
SPREAD = 0.25
SPREAD_MARGIN_S = 0.5


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


def between(state: ProbeState) -> bool:
    """Whether the last probes said otherwise than the verdict, but not often enough yet."""
    match state.verdict:
        case Verdict.UP:
            return state.failures > 0
        case Verdict.DOWN:
            return state.successes > 0
    return False


def spread_s(probe: Probe) -> float:
    """Over how long the probes of one round begin; a round ends before the next begins."""
    room = probe.interval_s - probe.timeout_s - SPREAD_MARGIN_S
    return max(0.0, min(probe.interval_s * SPREAD, room))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """The longest times, in seconds, that an operator waits for a pool's probes to tell.

    `down_refused_s` and `down_silent_s` are from a backend's death to its verdict: where it
    refuses connections, and where it does not answer at all. `up_s` is from when it answers
    again, `first_s` from the first look at a new backend, `stale_s` from the last round.
    """

    first_s: float
    down_refused_s: float
    down_silent_s: float
    up_s: float
    stale_s: float


def waits(probe: Probe) -> Waits:
    """Each probe in between may be a tick late."""
    fast_s = probe.fast_s + TICK_S
    steps = probe.fall - 1
    return Waits(
        first_s=TICK_S + probe.timeout_s,
        down_refused_s=probe.interval_s + TICK_S + steps * fast_s,
        down_silent_s=probe.interval_s + TICK_S + steps * fast_s + probe.fall * probe.timeout_s,
        up_s=probe.down_s + TICK_S + (probe.rise - 1) * fast_s + probe.rise * probe.timeout_s,
        stale_s=STALE_INTERVALS * probe.interval_s,
    )
