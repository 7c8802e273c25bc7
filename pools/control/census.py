"""Backends counted by pool: how many are up, and which pools need somebody to look.

The database counts, so that it costs the same for ten backends of a pool as for a thousand.

Rules:
- Verdicts hold as `control.verdicts` has it: those of a pool whose rounds of probes stopped
  are unknown, as are those of backends in maintenance.
- Empty and panic are as `notify.conditions` has them, by verdicts; ejections, which processes
  alone know of, are in their reports (`control.reports.panics`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from django.db.models import Count, Q, QuerySet
from django.utils.functional import cached_property

from pools.control import verdicts
from pools.core import document, passive
from pools.core.document import AdminState, ProbeKind
from pools.core.probing import Verdict
from pools.models import Backend, Pool, Route


class Need(IntEnum):
    """How much a pool needs somebody to look, the most first."""

    EMPTY = 0
    PANIC = 1
    DOWN = 2
    UNPROBED = 3
    NONE = 4


@dataclass(slots=True, kw_only=True)
class Tally:
    """A pool's backends, counted. `known`: its verdicts are news; `stale`: it should have been
    probed by now. `ready`, `usable` and `backups` are those that may get
    requests, that are not down, and the backups of these; `leaving` those in drain or
    maintenance, `resting` in maintenance alone."""

    pk: int
    name: str
    probed: bool
    known: bool
    stale: bool
    routed: bool
    certificate_days: int
    panic_percent: int
    total: int = 0
    up: int = 0
    down: int = 0
    ready_down: int = 0
    leaving: int = 0
    resting: int = 0
    ready: int = 0
    usable: int = 0
    backups: int = 0
    panic_in: list[str] = field(default_factory=list)

    @property
    def unknown(self) -> int:
        return self.total - self.up - self.down

    @property
    def needs_probes(self) -> bool:
        """In maintenance nobody probes, and nobody needs to."""
        return self.stale and self.total > self.resting

    @property
    def need(self) -> Need:
        """Of a pool that no enabled route leads to nobody asks whether requests find a
        backend."""
        if self.routed and not self.usable:
            return Need.EMPTY
        if self.routed and (self._panics or self.panic_in):
            return Need.PANIC
        if self.ready_down:
            return Need.DOWN
        if self.needs_probes:
            return Need.UNPROBED
        return Need.NONE

    @property
    def _panics(self) -> bool:
        return passive.ignores_health(
            document.Passive(panic_percent=self.panic_percent),
            primaries=self.usable - self.backups,
            backups=self.backups,
            ready=self.ready,
        )


@dataclass(frozen=True)
class Census:
    pools: tuple[Tally, ...]

    @cached_property
    def up(self) -> int:
        return sum(pool.up for pool in self.pools)

    @cached_property
    def down(self) -> int:
        return sum(pool.down for pool in self.pools)

    @cached_property
    def total(self) -> int:
        return sum(pool.total for pool in self.pools)

    def needing(self, *needs: Need) -> list[Tally]:
        return [pool for pool in self.pools if pool.need in needs]


def read(
    now: datetime,
    pools: QuerySet[Pool] | None = None,
    panics: dict[str, list[str]] | None = None,
) -> Census:
    """Of these pools, or of all, by name; three queries. `panics`: processes by pool."""
    rows = Pool.objects.all() if pools is None else pools
    found = {tally.pk: tally for tally in _pools(now, rows, panics or {})}
    members = Backend.objects.order_by()
    if pools is not None:
        members = members.filter(pool__in=rows.order_by().values("pk"))
    counted = members.values_list("pool_id", "state", "backup", "health__verdict").annotate(
        count=Count("pk"), weighing=Count("pk", filter=Q(weight__gt=0))
    )
    for pk, state, backup, verdict, count, weighing in counted:
        if tally := found.get(pk):  # or it came after the pools were read
            _add(tally, AdminState(state), verdict, count, weighing, backup=backup)
    return Census(tuple(found.values()))


def _pools(
    now: datetime, rows: QuerySet[Pool], panics: dict[str, list[str]]
) -> Iterable[Tally]:
    routed = set(Route.objects.filter(enabled=True).values_list("pool_id", flat=True))
    columns = rows.order_by("name").values_list(
        "pk",
        "name",
        "probe_kind",
        "probe_interval_s",
        "probe_certificate_days",
        "passive_panic_percent",
        "schedule__done_at",
        "schedule__next_at",
    )
    for pk, name, kind, interval_s, days, percent, done_at, next_at in columns:
        probed = kind != ProbeKind.OFF
        since = done_at or next_at  # the first round is due when it is due
        yield Tally(
            pk=pk,
            name=name,
            probed=probed,
            known=probed and _fresh(done_at, interval_s, now),
            stale=probed and not _fresh(since, interval_s, now),
            routed=pk in routed,
            certificate_days=days,
            panic_percent=percent,
            panic_in=panics.get(name, []),
        )


def _fresh(since: datetime | None, interval_s: float, now: datetime) -> bool:
    return since is not None and now < verdicts.stale_at(since, interval_s)


def _add(
    tally: Tally,
    state: AdminState,
    verdict: str | None,
    count: int,
    weighing: int,
    *,
    backup: bool,
) -> None:
    """Count so many backends, of which `weighing` have a weight."""
    known = tally.known and state is not AdminState.MAINT
    down = known and verdict == Verdict.DOWN
    tally.total += count
    tally.up += count if known and verdict == Verdict.UP else 0
    tally.down += count if down else 0
    if state is not AdminState.READY:
        tally.leaving += count
        tally.resting += count if state is AdminState.MAINT else 0
        return
    tally.ready += weighing
    if down:
        tally.ready_down += count
    else:
        tally.usable += weighing
        tally.backups += weighing if backup else 0
