"""Rounds of probes: who probes what and when, and what becomes of the results.

Rules:
- A pool is probed by whoever claims it: a conditional update of its `next_at`, so that
  two schedulers or two workers never probe it twice.
- A result is written by a conditional update on the health that it was judged by: a
  backend that is gone, moved or in maintenance by then, or that another process judged
  meanwhile, keeps what it has. Steady health is not written at all.
- A verdict that flips, its event and the new health version are one transaction.
- Verdicts that went stale count for nothing: the first probe decides anew.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from pools import conf
from pools.control import publish, verdicts
from pools.core import document
from pools.core.document import AdminState, ProbeKind
from pools.core.errors import DocumentError
from pools.core.probing import ProbeState, Verdict, observe
from pools.health import probes
from pools.models import Backend, BackendHealth, HealthEvent, Pool, ProbeSchedule

logger = logging.getLogger("pools.health")

# Half of beat's second: without it a tick that comes a moment too early would put a
# round off by a whole one.
TOLERANCE = timedelta(seconds=0.5)


@dataclass(slots=True)
class _Round:
    """One claimed pool. `trusted`: the verdicts it begins with are not stale."""

    pool: document.Pool
    row: Pool
    trusted: bool
    left: int = 0


def run_due(now: datetime) -> int:
    """Probe the pools that are due and unclaimed; how many backends were probed.

    Returns when the last one answered or was timed out.
    """
    jobs: list[tuple[_Round, Backend, document.Backend]] = []
    for schedule in _due(now):
        if _claim(schedule, now) and (started := _start(schedule, now)):
            jobs += _jobs(started)
    if not jobs:
        return 0
    workers = min(len(jobs), conf.current().probe_concurrency)
    with ThreadPoolExecutor(workers, thread_name_prefix="probe") as executor:
        asked: dict[Future[probes.Result], tuple[_Round, Backend]] = {
            executor.submit(probes.probe, of.pool, spec): (of, row) for of, row, spec in jobs
        }
        for future in as_completed(asked):
            of, row = asked[future]
            _record(of, row, future.result())
            of.left -= 1
            if not of.left:
                _finish(of)
    return len(jobs)


def _due(now: datetime) -> list[ProbeSchedule]:
    """Schedules whose time has come, or lies further ahead than a whole interval: the
    interval was made shorter, or the clock was set back."""
    probed = Pool.objects.exclude(probe_kind=ProbeKind.OFF)
    ProbeSchedule.objects.bulk_create(
        [ProbeSchedule(pool=pool, next_at=now) for pool in probed.filter(schedule=None)],
        ignore_conflicts=True,
    )
    times = ProbeSchedule.objects.filter(pool__in=probed).values_list(
        "pk", "next_at", "pool__probe_interval_s"
    )
    due = [
        key
        for key, next_at, interval_s in times
        if not now + TOLERANCE < next_at <= now + TOLERANCE + timedelta(seconds=interval_s)
    ]
    found = ProbeSchedule.objects.filter(pk__in=due).select_related("pool")
    return list(found.prefetch_related("pool__backends__health"))


def _claim(schedule: ProbeSchedule, now: datetime) -> bool:
    interval = timedelta(seconds=schedule.pool.probe_interval_s)
    following = schedule.next_at + interval  # keeps the pace, whatever the tick's delay
    if not now + interval / 2 < following <= now + TOLERANCE + interval:
        following = now + interval  # not twice within moments, where ticks were held up
    unclaimed = ProbeSchedule.objects.filter(pk=schedule.pk, next_at=schedule.next_at)
    return bool(unclaimed.update(next_at=following, claimed_at=now))


def _start(schedule: ProbeSchedule, now: datetime) -> _Round | None:
    pool, done_at = schedule.pool, schedule.done_at
    try:
        part = cast(document.Pool, pool.part())
    except DocumentError as error:  # written past all checks; publishing says it too
        logger.error("%s is not probed: %s", pool.name, error)
        return None
    fresh = done_at is not None and now < verdicts.stale_at(done_at, pool.probe_interval_s)
    return _Round(part, pool, trusted=fresh)


def _jobs(of: _Round) -> list[tuple[_Round, Backend, document.Backend]]:
    """The backends to probe, each with a row of health; those in maintenance are not."""
    jobs = []
    rows = list(of.row.backends.all())
    _give_health(rows)
    for row in rows:
        row.pool = of.row
        if row.state == AdminState.MAINT:
            _forget(row)
            continue
        try:
            jobs.append((of, row, cast(document.Backend, row.part())))
        except DocumentError as error:
            logger.error("%s is not probed: %s", row.key, error)
    of.left = len(jobs)
    if not jobs:
        _finish(of)
    return jobs


def _give_health(rows: Iterable[Backend]) -> None:
    new = [BackendHealth(backend=row) for row in rows if not hasattr(row, "health")]
    try:
        BackendHealth.objects.bulk_create(new, ignore_conflicts=True)
    except IntegrityError:
        logger.debug("a backend was deleted before it was ever probed")


def _finish(of: _Round) -> None:
    ProbeSchedule.objects.filter(pool=of.row).update(done_at=timezone.now())


def _record(of: _Round, row: Backend, result: probes.Result) -> None:
    """Take one result into account."""
    health = row.health
    before = ProbeState(Verdict(health.verdict), health.successes, health.failures)
    spec = of.pool.probe
    state, _ = observe(
        before if of.trusted else ProbeState(), result.ok, rise=spec.rise, fall=spec.fall
    )
    if state == before and (result.reason, result.code) == (health.reason, health.code):
        return
    probed = BackendHealth.objects.filter(backend__pool__probe_kind=spec.kind).exclude(
        backend__state=AdminState.MAINT
    )
    _write(
        row,
        probed.filter(
            backend__host=row.host, backend__port=row.port, backend__scheme=row.scheme
        ),
        state,
        result.reason,
        code=result.code,
        latency_ms=result.latency_ms,
    )


def _forget(row: Backend) -> None:
    """What is not probed is unknown, so that the first probe after maintenance decides."""
    if row.health.verdict != Verdict.UNKNOWN:
        kept = BackendHealth.objects.filter(backend__state=AdminState.MAINT)
        _write(row, kept, ProbeState(), "in maintenance: not probed")


def _write(
    row: Backend,
    rows: QuerySet[BackendHealth],
    state: ProbeState,
    reason: str,
    *,
    code: int | None = None,
    latency_ms: float | None = None,
) -> None:
    """Write what a backend's health became, if it is in `rows` and nobody else wrote it."""
    before, now = row.health, timezone.now()
    unchanged = rows.filter(
        backend=row,
        verdict=before.verdict,
        successes=before.successes,
        failures=before.failures,
    )
    values = {
        "verdict": state.verdict.value,
        "successes": state.successes,
        "failures": state.failures,
        "reason": reason,
        "code": code,
        "latency_ms": latency_ms,
        "changed_at": now,
    }
    if state.verdict == before.verdict:
        unchanged.update(**values)
        return
    event = HealthEvent(
        backend=row,
        at=now,
        old=before.verdict,
        new=state.verdict.value,
        reason=reason,
        seen_by=f"{socket.gethostname()}:{os.getpid()}",
    )
    with transaction.atomic():
        publish.health_changed()  # first: it takes the lock that `publish.change` takes first
        if not unchanged.update(**values, since=now):
            transaction.set_rollback(True)
            return
        event.save()
    level = logging.WARNING if state.verdict is Verdict.DOWN else logging.INFO
    logger.log(level, "%s is %s: %s", row.key, state.verdict, reason)
