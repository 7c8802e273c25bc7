"""probing: when a backend is asked again, and how long an operator waits at most."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pools.core.document import Probe
from pools.core.probing import (
    ProbeState,
    Verdict,
    between,
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


def test_the_table_of_the_docs_is_computed():
    """docs/health.md, "How long it takes": the last column is of the defaults."""
    text = (Path(__file__).parents[2] / "docs" / "health.md").read_text()
    table = text.partition("## How long it takes")[2].partition("## ")[0]
    shown = re.findall(r"\| (\d+(?:\.\d+)?) s \|$", table, re.MULTILINE)
    told = waits(Probe())
    assert [float(seconds) for seconds in shown[:5]] == [
        told.first_s,
        told.down_refused_s,
        told.down_silent_s,
        told.up_s,
        told.stale_s,
    ]
