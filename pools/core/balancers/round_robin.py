"""Smooth weighted round robin (nginx)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pools.core import document
from pools.core.balancers.base import C
from pools.core.request import RequestHead


class RoundRobin:
    """Turns by weight, spread out: 5, 1, 1 gives a a b a c a a."""

    slow_start: ClassVar[bool] = True

    def __init__(self, pool: document.Pool) -> None:
        pass

    def select(self, candidates: Sequence[C], head: RequestHead, random: Random) -> C:
        return smooth(candidates)


def smooth(candidates: Sequence[C]) -> C:
    """All gain their weight, the richest is chosen and pays what all gained."""
    best = candidates[0]
    total = 0.0
    for candidate in candidates:
        weight = candidate.weight
        total += weight
        candidate.current += weight
        if candidate.current > best.current:
            best = candidate
    best.current -= total
    return best
