"""Which processes have a revision in force, and how soon after it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pools.control import processes, reports
from pools.control.processes import TRAFFIC, Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Followers:
    """The processes that carry traffic: those that route by the revision or a later one, and
    those `behind`. `after_s`: when the last of those that told it took it over, in seconds
    since the revision was made, by the database's clock; None where nobody told."""

    number: int
    there: tuple[Told, ...]
    behind: tuple[Told, ...]
    after_s: float | None

    @property
    def total(self) -> int:
        return len(self.there) + len(self.behind)

    @property
    def done(self) -> bool:
        """Whether nobody is behind."""
        return not self.behind


def of(number: int) -> Followers:
    """By what living processes told last; one query."""
    return among(number, processes.living(*TRAFFIC))


def among(number: int, told: Sequence[Told]) -> Followers:
    there = tuple(one for one in told if reports.revision(one) >= number)
    took = [reports.took_s(one) for one in there if reports.revision(one) == number]
    known = [after_s for after_s in took if after_s is not None]
    return Followers(
        number=number,
        there=there,
        behind=tuple(one for one in told if reports.revision(one) < number),
        after_s=max(known, default=None),
    )
