"""Weighted least requests (HAProxy leastconn)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pools.core import document
from pools.core.balancers.base import C
from pools.core.balancers.round_robin import smooth
from pools.core.request import RequestHead


class LeastRequests:
    """The backend with the fewest requests in flight for its weight, this one included.

    Ties go round by weight, so that an idle pool is not all on its first backend.
    """

    slow_start: ClassVar[bool] = True

    def __init__(self, pool: document.Pool) -> None:
        pass

    def select(self, candidates: Sequence[C], head: RequestHead, random: Random) -> C:
        loads = [(candidate.in_flight + 1) / candidate.weight for candidate in candidates]
        least = min(loads)
        tied = [
            candidate
            for candidate, load in zip(candidates, loads, strict=True)
            if load == least
        ]
        return tied[0] if len(tied) == 1 else smooth(tied)
