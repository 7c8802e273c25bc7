"""What a balancing policy is given and what it must do."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Protocol, TypeVar

from pools.core import document
from pools.core.request import RequestHead


class Candidate(Protocol):
    """A backend that may take the exchange.

    `weight` is above 0, and scaled down while the backend starts slowly. `current` is
    kept for smooth weighted round robin, which alone changes it.
    """

    weight: float
    in_flight: int
    current: float

    @property
    def seed(self) -> int: ...


C = TypeVar("C", bound=Candidate)


class Balancer(Protocol):
    """One pool's policy; made anew with each snapshot, so what must last is in candidates."""

    # Whether weights are scaled down for a backend that has just turned up.
    slow_start: ClassVar[bool]

    def __init__(self, pool: document.Pool) -> None: ...

    def select(self, candidates: Sequence[C], head: RequestHead, random: Random) -> C:
        """One of the candidates, of which there are at least two. Its caller holds a lock."""
        ...
