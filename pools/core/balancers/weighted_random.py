"""Weighted random."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pools.core import document
from pools.core.balancers.base import C
from pools.core.request import RequestHead


class WeightedRandom:
    """Each by its weight's share, independently of what went before."""

    slow_start: ClassVar[bool] = True

    def __init__(self, pool: document.Pool) -> None:
        pass

    def select(self, candidates: Sequence[C], head: RequestHead, random: Random) -> C:
        return draw(candidates, random)


def draw(candidates: Sequence[C], random: Random) -> C:
    """One candidate, with a chance in proportion to its weight."""
    left = random.random() * sum([candidate.weight for candidate in candidates])
    for candidate in candidates:
        left -= candidate.weight
        if left < 0:
            return candidate
    return candidates[-1]  # rounding alone leads here
