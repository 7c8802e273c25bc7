"""probing: when a backend is asked again, and how long an operator waits at most."""

from __future__ import annotations

import pytest

from pools.core.document import Probe
from pools.core.probing import (
    ProbeState,
    Verdict,
    between,
    down_interval_s,
    fast_interval_s,
    spread_s,
    waits,
)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ProbeState(), False),
        (ProbeState(Verdict.UP, successes=2), False),
        (ProbeState(Verdict.UP, failures=1), True),
        (ProbeState(Verdict.DOWN, failures=3), False),
        (ProbeState(Verdict.DOWN, successes=1), True),
    ],
)
def test_a_backend_is_between_where_probes_and_verdict_differ(state, expected):
    assert between(state) is expected


@pytest.mark.parametrize(
    ("probe", "fast", "down"),
    [
        (Probe(), 1, 5),
        (Probe(fast_interval_s=0), 5, 5),
        (Probe(interval_s=1, timeout_s=1, fast_interval_s=3), 1, 1),
        (Probe(down_interval_s=30), 1, 30),
        (Probe(interval_s=10, down_interval_s=2), 1, 10),
    ],
)
def test_intervals_of_backends_that_are_not_plainly_up(probe, fast, down):
    assert (fast_interval_s(probe), down_interval_s(probe)) == (fast, down)


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (Probe(), 1.25),
        (Probe(interval_s=5, timeout_s=4), 0.5),
        (Probe(interval_s=5, timeout_s=5), 0),
    ],
)
def test_a_round_ends_before_the_next_one(probe, expected):
    assert spread_s(probe) == expected


def test_the_longest_waits_by_the_defaults():
    told = waits(Probe())
    assert told.first_s == 3
    assert told.down_refused_s == 5 + 1 + 2 * (1 + 1)
    assert told.down_silent_s == told.down_refused_s + 3 * 2
    assert told.up_s == 5 + 1 + (1 + 1) + 2 * 2
    assert told.stale_s == 15
