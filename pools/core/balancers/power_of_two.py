"""Power of two choices (nginx `random two least_conn`)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pools.core import document
from pools.core.balancers.base import C
from pools.core.balancers.weighted_random import draw
from pools.core.request import RequestHead


class PowerOfTwo:
    """Of two backends drawn by weight the one with fewer requests in flight for its weight.

    A tie goes to the first drawn, so that an idle pool is balanced by weight.
    """

    slow_start: ClassVar[bool] = True

    def __init__(self, pool: document.Pool) -> None:
        pass

    def select(self, candidates: Sequence[C], head: RequestHead, random: Random) -> C:
        first = draw(candidates, random)
        second = draw([other for other in candidates if other is not first], random)
        if second.in_flight * first.weight < first.in_flight * second.weight:
            return second
        return first
