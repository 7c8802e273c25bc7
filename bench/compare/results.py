"""What was measured, and the middle of it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from bench.compare.scenarios import Sample

# Of each scenario, the rounds of each of its subjects by name.
Results = Mapping[str, Mapping[str, list[Sample]]]


def middle(results: Results, scenario: str, subject: str, key: str) -> float | None:
    """The median of the rounds; None where it was not measured."""
    rounds = results.get(scenario, {}).get(subject)
    return median(one[key] for one in rounds) if rounds else None


def ratio(results: Results, scenario: str, subject: str, to: str, key: str) -> float | None:
    one = middle(results, scenario, subject, key)
    other = middle(results, scenario, to, key)
    return None if one is None or not other else one / other
