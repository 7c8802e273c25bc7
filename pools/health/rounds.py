"""Rounds of probes: which pools are due, and who probes them.

Rules:
- A round is probed by whoever claims it, under a lock, so that two schedulers or two workers
  never probe a backend twice.
- A regular round has all backends of a pool, each interval. The next one waits until it has
  ended, or can't be under way any more: whoever had it died (`busy_until`). Backends that
  are down may be left out (`down_interval_s`). None in maintenance is probed.
- Who is between up and down, or new, is due by itself (`BackendHealth.next_at`), and in no
  round before that; a fast round has those that are due. What is being probed is not due.
- Pools that were made at one moment are not probed at one moment: after the first round
  the next one comes after a random share of the interval.
- Verdicts that went stale count for nothing, and the first probe decides anew; the time
  without probes is kept as a gap.
- All times are the database's (pools.control.clock).
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import IntegrityError, connections, transaction
from django.db.models import F, Min, QuerySet
from django.db.models.functions import Coalesce

from pools.control import verdicts
from pools.control.clock import Jumps
from pools.control.rows import update_many
from pools.core import document, probing
from pools.core.document import AdminState, ProbeKind
from pools.core.probing import ProbeState, Verdict
from pools.health import specs
from pools.models import (
    Backend,
    BackendHealth,
    Pool,
    ProbeGap,
    ProbeSchedule,
    PublishedState,
)

logger = logging.getLogger("pools.health")

K = TypeVar("K")
V = TypeVar("V")

# A round that is due this soon is claimed now, and begun when it is due.
AHEAD = timedelta(seconds=probing.TICK_S)
# Half of beat's second: without it a tick that comes a moment too early would put a
# round off by a whole one.
TOLERANCE = timedelta(seconds=0.5)
# A claim outlasts the longest round by this, for writing what was found.
LEASE_SLACK_S = 2.0
# Intervals to the next round, after one that was late (see _following).
LONGEST = 1.5


@dataclass(slots=True, eq=False)
class Job:
    """One backend to probe, with its health as it was when it was claimed."""

    of: Round
    pk: int
    key: str
    spec: document.Backend
    state: ProbeState
    reason: str
    code: int | None
    certificate_until: datetime | None
    next_at: datetime | None


@dataclass(slots=True, eq=False)
class Round:
    """A claimed round. `late_s`: how long ago it was due. `left`: jobs under way.

    `asked`: of its pool, as `specs.asked` has it. `until`: when its claim runs out.
    `began_before`: when the last whole one before it was claimed.
    `stale_since`: its verdicts count for nothing since then; `new`: it has none to go by.
    `unmade`: a probe could not be made, so that not all of its verdicts are news.
    """

    pool: document.Pool
    pool_pk: int
    asked: Any
    at: datetime
    until: datetime
    claimed_at: datetime
    regular: bool
    spread_s: float
    late_s: float
    began_before: datetime | None
    stale_since: datetime | None
    new: bool
    jobs: list[Job] = field(default_factory=list)
    left: int = 0
    unmade: bool = False

    @property
    def whole(self) -> bool:
        """Whether its end says that the pool's verdicts are news."""
        return self.regular and not self.unmade


class Claims:
    """Claims what is due for one process. Thread-safe; `look` is told the time."""

    def __init__(self) -> None:
        self._specs = specs.Specs()
        self._jumps = Jumps()

    def look(self, now: datetime, since: float, until: float) -> None:
        """Tell the database's time, read between two moments of time.monotonic."""
        if jump := self._jumps.look(now, since, until):
            logger.warning("the clock jumped by %+.0f s", jump.total_seconds())

    def claim(self, now: datetime, *, ahead: timedelta = AHEAD) -> list[Round]:
        """The rounds that are due by `now` and `ahead`, and are this process's now."""
        _enter_new(now)
        due = self._due(now, ahead)
        if not due:
            return []
        claimed = self._take(due, now, ahead)
        gaps = [
            ProbeGap(pool_id=round_.pool_pk, begins_at=round_.stale_since, ends_at=now)
            for round_ in claimed
            if round_.stale_since and round_.stale_since < now
        ]
        if gaps:
            _keep(gaps)
        return claimed

    def _due(self, now: datetime, ahead: timedelta) -> list[int]:
        probed = Pool.objects.exclude(probe_kind=ProbeKind.OFF)
        times = ProbeSchedule.objects.filter(pool__in=probed).values_list(
            "pk", "next_at", "pool__probe_interval_s", "pool__probe_timeout_s"
        )
        return [
            pk
            for pk, next_at, interval_s, timeout_s in times.order_by()
            if _is_due(now, ahead, next_at, interval_s, timeout_s)
        ]

    def _take(self, due: Sequence[int], now: datetime, ahead: timedelta) -> list[Round]:
        claimed, rows = [], []
        with transaction.atomic():
            for row in _locked(due):
                probe = row.pool.probe_interval_s, row.pool.probe_timeout_s
                if not _is_due(now, ahead, row.next_at, *probe):
                    continue  # another process was faster
                rows.append(row)
                if round_ := self._begin(row, now):
                    claimed.append(round_)
            update_many(rows, ("next_at", "regular_at", "busy_until"))
            _fill(claimed)  # under the lock: whom it takes nobody else does
        return claimed

    def _begin(self, row: ProbeSchedule, now: datetime) -> Round | None:
        """Write down in the row that its pool's round begins; None: it cannot be probed."""
        interval = timedelta(seconds=row.pool.probe_interval_s)
        pool = self._specs.pool(row.pool)
        if pool is None:
            row.next_at = row.regular_at = now + interval
            return None
        at = row.next_at if now < row.next_at <= now + AHEAD else now
        due_at, first = row.regular_at or at, row.regular_at is None
        lease = timedelta(seconds=2 * pool.probe.timeout_s + LEASE_SLACK_S)
        due = not at < due_at - TOLERANCE <= at + LONGEST * interval
        regular = due and not _is_busy(row.busy_until, at, lease + interval)
        spread_s = 0.0 if first or not regular else probing.spread_s(pool.probe)
        until = at + lease + timedelta(seconds=spread_s)
        if first:
            row.regular_at = at + random.uniform(0.2, 1) * interval
        elif regular:
            row.regular_at = _following(due_at, at, interval)
        assert row.regular_at
        if regular:
            row.busy_until = until
        # Who is probed fast is due again when whoever claimed it died.
        row.next_at = row.busy_until or row.regular_at
        if not regular:
            row.next_at = min(row.next_at, until)
        late = at - due_at if regular else timedelta()
        return Round(
            pool=pool,
            pool_pk=row.pool_id,
            asked=specs.asked(row.pool),
            at=at,
            until=until,
            claimed_at=now,
            regular=regular,
            spread_s=spread_s,
            late_s=max(0.0, late.total_seconds()),
            began_before=row.began_at,
            stale_since=self._stale_since(row, now),
            new=row.done_at is None,
        )

    def _stale_since(self, row: ProbeSchedule, now: datetime) -> datetime | None:
        if row.done_at is None:
            return None
        fresh_for = verdicts.fresh_for(row.pool.probe_interval_s)
        return (
            row.done_at + fresh_for if self._jumps.age(row.done_at, now) >= fresh_for else None
        )


def end(finished: Collection[Round], now: datetime) -> None:
    """Write down that rounds have ended, and when their pools are due again."""
    regular = [one for one in finished if one.regular]
    for claimed_at, ended in _grouped((one.claimed_at, one) for one in regular).items():
        own = ProbeSchedule.objects.filter(pool__in={one.pool_pk for one in ended})
        # Whoever claimed the next one, as this one took too long, has it.
        own.filter(busy_until__in={one.until for one in ended}).update(busy_until=None)
        whole = [one.pool_pk for one in ended if one.whole]
        own.filter(pool__in=whole).update(done_at=now, began_at=claimed_at)
    pools = {one.pool_pk for one in finished}
    schedules = ProbeSchedule.objects.filter(pool__in=pools)
    schedules.update(next_at=Coalesce("busy_until", "regular_at"))
    waiting = BackendHealth.objects.filter(backend__pool__in=pools, next_at__isnull=False)
    waiting = waiting.exclude(backend__state=AdminState.MAINT).order_by()
    hasten(waiting.values_list("backend__pool").annotate(Min("next_at")))


def hasten(due: Iterable[tuple[int, datetime]]) -> None:
    """Have pools looked at no later than then, whatever else is under way."""
    for at, pools in _grouped((at, pool) for pool, at in due).items():
        ProbeSchedule.objects.filter(pool__in=pools, next_at__gt=at).update(next_at=at)


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    found: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def _keep(gaps: Sequence[ProbeGap]) -> None:
    """Those of pools that are still there."""
    with suppress(IntegrityError), transaction.atomic():
        PublishedState.lock()  # or who deletes one of them now could not
        there = set(Pool.objects.values_list("pk", flat=True))
        ProbeGap.objects.bulk_create(gap for gap in gaps if gap.pool_id in there)


def _enter_new(now: datetime) -> None:
    """Pools and backends that nobody has probed yet are due at once."""
    probed = Pool.objects.exclude(probe_kind=ProbeKind.OFF)
    pools = probed.filter(schedule=None)
    backends = Backend.objects.filter(health=None, pool__in=probed).order_by()
    backends = backends.exclude(state=AdminState.MAINT)
    if not (pools.exists() or backends.exists()):
        return
    try:
        with transaction.atomic():
            PublishedState.lock()  # or who deletes one of them now could not
            schedules = [ProbeSchedule(pool=pool, next_at=now) for pool in pools]
            ProbeSchedule.objects.bulk_create(schedules, ignore_conflicts=True)
            found = list(backends.values_list("pk", "pool"))
            rows = [BackendHealth(backend_id=pk, next_at=now) for pk, _ in found]
            BackendHealth.objects.bulk_create(rows, ignore_conflicts=True)
    except IntegrityError:
        logger.debug("one was deleted past all locks before it was ever probed")
        return
    hasten({(pool, now) for _, pool in found})


def _is_busy(until: datetime | None, at: datetime, longest: timedelta) -> bool:
    """Whether a regular round may be under way; not with an end beyond any round's, of before
    the clock was set back."""
    return until is not None and at < until <= at + longest


def _following(due_at: datetime, at: datetime, interval: timedelta) -> datetime:
    """The next round after one that begins `at`, in step with when that was due: pools that
    were all late together are not together ever after. Not twice within moments."""
    if due_at > at + TOLERANCE:  # the interval was made shorter, or the clock was set back
        return at + interval
    missed = (at + interval / 2 - due_at) // interval
    return due_at + (missed + 1) * interval


def _is_due(
    now: datetime, ahead: timedelta, next_at: datetime, interval_s: float, timeout_s: float
) -> bool:
    """Its time has come, or lies further ahead than any claim puts it: the interval was made
    shorter, or the clock was set back."""
    longest = timedelta(seconds=LONGEST * interval_s + 2 * timeout_s + LEASE_SLACK_S)
    return not now + max(ahead, TOLERANCE) < next_at <= now + AHEAD + longest


def _locked(pks: Sequence[int]) -> QuerySet[ProbeSchedule]:
    """The rows, which no other process can claim until the transaction ends; without those
    that another one is claiming now."""
    rows = ProbeSchedule.objects.filter(pk__in=pks)
    if connections[rows.db].features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    else:
        rows.update(next_at=F("next_at"))  # SQLite locks all, when something is written
    return rows.select_related("pool").order_by("pk")


def _fill(claimed: Collection[Round]) -> None:
    """Give each round its jobs; one query."""
    by_pool = {round_.pool_pk: round_ for round_ in claimed}
    rows = Backend.objects.filter(pool__in=by_pool, health__isnull=False).order_by("pk")
    for pool, pk, host, port, scheme, state, since, *found in rows.values_list(
        *("pool", "pk", "host", "port", "scheme", "state", "health__since"),
        *("health__verdict", "health__successes", "health__failures", "health__reason"),
        *("health__code", "health__certificate_until", "health__next_at"),
    ):
        round_ = by_pool[pool]
        verdict, successes, failures, reason, code, certificate_until, next_at = found
        if state == AdminState.MAINT:
            continue
        spec = specs.backend(host, port, scheme)
        if spec is None or not _in_round(round_, Verdict(verdict), successes, since, next_at):
            continue
        round_.jobs.append(
            Job(
                of=round_,
                pk=pk,
                key=f"{round_.pool.name}/{spec.address}",
                spec=spec,
                state=ProbeState(Verdict(verdict), successes, failures),
                reason=reason,
                code=code,
                certificate_until=certificate_until,
                next_at=next_at,
            )
        )
    _lease(claimed)
    for round_ in claimed:
        round_.jobs.sort(key=lambda job: job.next_at is None)  # who is between goes first
        round_.left = len(round_.jobs)


def _lease(claimed: Collection[Round]) -> None:
    """Who is between is not due again while it is probed; it is when that came to nothing."""
    between = (
        (round_.until, job.pk)
        for round_ in claimed
        for job in round_.jobs
        if job.next_at is not None
    )
    for until, pks in _grouped(between).items():
        BackendHealth.objects.filter(backend__in=pks).update(next_at=until)


def _in_round(
    of: Round,
    verdict: Verdict,
    successes: int,
    since: datetime | None,
    next_at: datetime | None,
) -> bool:
    if next_at is not None:
        # No claim puts it further ahead: the clock was set back.
        longest = of.pool.probe.interval_s + 2 * of.pool.probe.timeout_s + LEASE_SLACK_S
        return not of.at + TOLERANCE < next_at <= of.at + 2 * timedelta(seconds=longest)
    if not of.regular:
        return False
    slow_s = of.pool.probe.down_interval_s
    slow = slow_s and verdict is Verdict.DOWN and not successes and not of.stale_since
    if not slow or since is None or of.began_before is None:
        return True
    # Each time that another down interval since its fall has passed, since the last round.
    length = timedelta(seconds=slow_s)
    if of.claimed_at < since:
        return True
    return (of.claimed_at - since) // length != (of.began_before - since) // length
