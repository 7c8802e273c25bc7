"""The one tree of the core's errors. They carry facts; who catches them decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]


class PoolsError(Exception):
    """Root of everything that this app raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a document: where, and what, with the mend.

    `path` walks the document: ("pools", 2, "backends", 0, "port").
    """

    path: Path
    message: str

    @property
    def where(self) -> str:
        """The path as people write it: pools[2].backends[0].port"""
        text = ""
        for step in self.path:
            if isinstance(step, int):
                text += f"[{step}]"
            else:
                # A name of the user's own may hold a line break; a problem is one line.
                name = step if step.isprintable() else repr(step)
                text += f".{name}" if text else name
        return text

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.path else self.message


class DocumentError(PoolsError):
    """A document that does not hold; `problems` says every reason, in order of path."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NoBackendAvailable(PoolsError):
    """No backend of the pool can take the exchange now: all down, full, drained or tried.

    `full`: one could but for its limit of requests in flight, so that waiting may help.
    """

    def __init__(self, pool: str, *, retry_after_s: int = 1, full: bool = False) -> None:
        self.pool = pool
        self.full = full
        self.retry_after_s = retry_after_s
        super().__init__(f"no backend of pool {pool!r} is available")
