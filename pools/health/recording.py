"""What becomes of the results of probes.

Rules:
- A result is written by a conditional update on the health that it was judged by: a
  backend that is gone, moved or in maintenance by then, or that another process judged
  meanwhile, keeps what it has. Steady health is not written at all.
- Verdicts that flip, their events and the new health version are one transaction.
- What is not probed any more is unknown, so that the first probe after it decides.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from pools.control import publish
from pools.core import probing
from pools.core.document import AdminState
from pools.core.probing import ProbeState, Verdict
from pools.health.probes import Result
from pools.health.rounds import Job
from pools.models import BackendHealth, HealthEvent, PublishedState

logger = logging.getLogger("pools.health")


@dataclass(frozen=True, slots=True)
class _Change:
    """What a backend's health becomes, where it is still as it was in `rows`."""

    pk: int
    key: str
    rows: QuerySet[BackendHealth]
    before: ProbeState
    state: ProbeState
    values: dict[str, Any]

    @property
    def flips(self) -> bool:
        return self.state.verdict is not self.before.verdict


def record(found: Sequence[tuple[Job, Result]], now: datetime) -> None:
    """Take results into account."""
    _write([change for job, result in found if (change := _judged(job, result, now))], now)


def forget_maintained(now: datetime) -> None:
    """Backends that went into maintenance are not probed, and unknown."""
    rows = BackendHealth.objects.filter(backend__state=AdminState.MAINT)
    known = rows.exclude(verdict=Verdict.UNKNOWN).select_related("backend__pool")
    _write(
        [
            _Change(
                pk=row.backend_id,
                key=row.backend.key,
                rows=rows,
                before=ProbeState(Verdict(row.verdict), row.successes, row.failures),
                state=ProbeState(),
                values={
                    "reason": "in maintenance: not probed",
                    "code": None,
                    "latency_ms": None,
                    "next_at": None,
                },
            )
            for row in known
        ],
        now,
    )


def _judged(job: Job, result: Result, now: datetime) -> _Change | None:
    """What the result changes; None: nothing."""
    probe, before = job.of.pool.probe, job.state
    believed = ProbeState() if job.of.stale_since or job.of.new else before
    state, _ = probing.observe(believed, result.ok, rise=probe.rise, fall=probe.fall)
    next_at = None
    if probing.between(state):
        next_at = now + timedelta(seconds=probing.fast_interval_s(probe))
    certificate_until = result.certificate_until or job.certificate_until
    kept = job.reason, job.code, job.certificate_until, job.next_at, before
    if kept == (result.reason, result.code, certificate_until, next_at, state):
        return None
    spec = job.spec
    rows = BackendHealth.objects.filter(
        backend__pool__probe_kind=probe.kind,
        backend__host=spec.host,
        backend__port=spec.port,
        backend__scheme=spec.scheme,
    ).exclude(backend__state=AdminState.MAINT)
    return _Change(
        pk=job.pk,
        key=job.key,
        rows=rows,
        before=before,
        state=state,
        values={
            "reason": result.reason,
            "code": result.code,
            "latency_ms": result.latency_ms,
            "certificate_until": certificate_until,
            "next_at": next_at,
        },
    )


def _write(changes: Sequence[_Change], now: datetime) -> None:
    if not changes:
        return
    flipped = []
    with transaction.atomic():
        if any(change.flips for change in changes):
            # First, as `publish.change` does: and so no other process writes a flip between
            # our reading and our writing.
            PublishedState.lock()
        for change in changes:
            if _applied(change, now) and change.flips:
                flipped.append(change)
        if flipped:
            HealthEvent.objects.bulk_create(_event(change, now) for change in flipped)
            publish.health_changed()
    for change in flipped:
        level = logging.WARNING if change.state.verdict is Verdict.DOWN else logging.INFO
        logger.log(
            level, "%s is %s: %s", change.key, change.state.verdict, change.values["reason"]
        )


def _applied(change: _Change, now: datetime) -> bool:
    before, state = change.before, change.state
    unchanged = change.rows.filter(
        backend=change.pk,
        verdict=before.verdict,
        successes=before.successes,
        failures=before.failures,
    )
    values = {
        **change.values,
        "verdict": state.verdict.value,
        "successes": state.successes,
        "failures": state.failures,
        "changed_at": now,
    }
    if change.flips:
        values["since"] = now
    return bool(unchanged.update(**values))


def _event(change: _Change, now: datetime) -> HealthEvent:
    return HealthEvent(
        backend_id=change.pk,
        at=now,
        old=change.before.verdict.value,
        new=change.state.verdict.value,
        reason=change.values["reason"],
        seen_by=f"{socket.gethostname()}:{os.getpid()}",
    )
