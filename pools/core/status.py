"""What a process tells of its pools and backends: values, as they were at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from pools.core.document import AdminState
from pools.core.probing import Verdict


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """What is known of one backend now. `why` says what keeps it, or what is overruled.

    `in_flight` are requests and tunnels together.
    """

    key: str
    pool: str
    state: AdminState
    verdict: Verdict
    in_flight: int
    tunnels: int
    ejected_for_s: float
    available: bool
    why: str


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """A pool now. `panic`: so few of its backends are healthy that health is ignored."""

    name: str
    panic: bool
    backends: tuple[BackendStatus, ...]

    @property
    def available(self) -> int:
        """How many of its backends could take a request."""
        return sum(backend.available for backend in self.backends)

    @property
    def leaving(self) -> int:
        """How many are drained or in maintenance."""
        return sum(backend.state is not AdminState.READY for backend in self.backends)

    def count(self, verdict: Verdict) -> int:
        """How many of those that are to take requests have this verdict."""
        return sum(
            backend.verdict is verdict and backend.state is AdminState.READY
            for backend in self.backends
        )


@dataclass(frozen=True, slots=True)
class Ejection:
    """A backend that this process leaves out for `for_s` more seconds."""

    key: str
    for_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A backend in drain or maintenance that has something in flight."""

    key: str
    requests: int
    tunnels: int


@dataclass(frozen=True, slots=True)
class Notable:
    """What is not as usual in a process; `panic` are names of pools."""

    ejections: tuple[Ejection, ...]
    panic: tuple[str, ...]
    leaving: tuple[Leaving, ...]
