"""All pools and backends as an operator wants to see them: verdicts, and what each process
makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from pools.control import readings, reports
from pools.control.explain import published_engine
from pools.control.processes import TRAFFIC, Told
from pools.control.reports import Ejected, InFlight
from pools.core.document import AdminState, ProbeKind
from pools.core.probing import Verdict
from pools.core.snapshot import Snapshot
from pools.core.status import BackendStatus, PoolStatus
from pools.models import Backend

_NOT_READ = readings.Reading(verdict=Verdict.UNKNOWN, reason="not probed yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendView:
    """A backend. `probed`: its pool has a probe. `follow` and `may_come` are as
    `reports.leaving` takes them."""

    key: str
    state: AdminState
    reading: readings.Reading
    ejected: tuple[Ejected, ...]
    in_flight: tuple[InFlight, ...]
    probed: bool
    follow: bool
    may_come: bool

    @property
    def as_usual(self) -> bool:
        """Ready, up as far as anybody asks, and ejected by nobody."""
        fine = self.reading.verdict is Verdict.UP or not self.probed
        return self.state is AdminState.READY and fine and not self.ejected

    def leaving(self) -> str:
        """Of one in drain or maintenance: whether it may be stopped. "" for others."""
        if self.state is AdminState.READY:
            return ""
        return reports.leaving(self.in_flight, follow=self.follow, may_come=self.may_come)

    def plain(self, now: datetime) -> dict[str, Any]:
        """For JSON."""
        return {
            "key": self.key,
            "state": self.state.value,
            "verdict": self.reading.verdict.value,
            "why": self.reading.reason,
            "since": reports.text(self.reading.since) if self.reading.since else None,
            "ejected": [
                {"process": by.process, "left_s": round(by.left_s(now), 1), "why": by.why}
                for by in self.ejected
            ],
            "in_flight": [flying.plain() for flying in self.in_flight],
            "leaving": self.leaving(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """A pool. `panic_in`: the processes that have it so, by their own reports."""

    status: PoolStatus
    panic_in: tuple[str, ...]
    backends: tuple[BackendView, ...]

    @property
    def trouble(self) -> str:
        """ "panic", "no backend left", or ""."""
        if not self.backends:
            return "no backends"
        if self.status.panic or self.panic_in:
            return "panic"
        return "" if self.status.available else "no backend left"

    def plain(self, now: datetime) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.status.name,
            "trouble": self.trouble,
            "panic_in": list(self.panic_in),
            "available": self.status.available,
            **{verdict.value: self.status.count(verdict) for verdict in Verdict},
            "leaving": self.status.leaving,
            "backends": [backend.plain(now) for backend in self.backends],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    revision: int
    pools: tuple[PoolView, ...]


def read(processes: Sequence[Told]) -> Overview:
    """By the published revision, the health in the database and what processes told.

    Raises DocumentError where the revision cannot be read.
    """
    engine = published_engine()
    snapshot = engine.snapshot
    now = timezone.now()
    rows = Backend.objects.select_related("pool", *readings.WITH).order_by()
    known = {row.key: readings.read(row, now) for row in rows}
    traffic = [told for told in processes if told.living and told.kind in TRAFFIC]
    making = _Making(snapshot, known, traffic, now)
    return Overview(
        revision=snapshot.revision, pools=tuple(making.pool(pool) for pool in engine.pools())
    )


class _Making:
    """Of views, by what was read."""

    def __init__(
        self,
        snapshot: Snapshot,
        known: dict[str, readings.Reading],
        traffic: Sequence[Told],
        now: datetime,
    ) -> None:
        self._snapshot = snapshot
        self._known = known
        self._ejected = reports.ejections(traffic)
        self._in_flight = reports.in_flight(traffic)
        self._panics = reports.panics(traffic)
        self._follow = all(reports.revision(told) >= snapshot.revision for told in traffic)
        # What ended since it was told is no news.
        self._ended = now - timedelta(seconds=1)

    def pool(self, status: PoolStatus) -> PoolView:
        return PoolView(
            status=status,
            panic_in=tuple(self._panics.get(status.name, ())),
            backends=tuple(self._backend(backend) for backend in status.backends),
        )

    def _backend(self, status: BackendStatus) -> BackendView:
        spec = self._snapshot.pools[status.pool].spec
        ejected = self._ejected.get(status.key, ())
        sticky = spec.sticky
        return BackendView(
            key=status.key,
            state=status.state,
            reading=self._known.get(status.key, _NOT_READ),
            ejected=tuple(by for by in ejected if by.until > self._ended),
            in_flight=tuple(self._in_flight.get(status.key, ())),
            probed=spec.probe.kind is not ProbeKind.OFF,
            follow=self._follow,
            may_come=reports.may_come(
                status.state, sticky=sticky.mode, while_draining=sticky.while_draining
            ),
        )
