"""What becomes of the results of probes.

Rules:
- A result is written only onto the health that it was judged by: a backend that is gone,
  moved or in maintenance by then, whose pool asks otherwise, or that another process judged
  meanwhile, keeps what it has. Steady health is not written at all.
- Verdicts that flip, their events and the new health version are one transaction.
- What is not probed any more is unknown, so that the first probe after it decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connections, transaction

from pools.control import publish
from pools.control.processes import own_name
from pools.control.rows import update_many
from pools.core import probing
from pools.core.document import AdminState
from pools.core.probing import ProbeState, Verdict
from pools.health import rounds, specs
from pools.health.probes import Result
from pools.health.rounds import Job
from pools.models import BackendHealth, HealthEvent, PublishedState

logger = logging.getLogger("pools.health")

# What tells whether a backend is still what was probed.
_CONFIGURED = (
    *("backend__host", "backend__port", "backend__scheme", "backend__state"),
    *("backend__pool", *(f"backend__pool__{name}" for name in specs.ASKED)),
)
_WRITTEN = (
    *("verdict", "since", "successes", "failures", "reason", "code", "latency_ms"),
    *("changed_at", "certificate_until", "next_at"),
)


@dataclass(frozen=True, slots=True)
class _Change:
    """What a backend's health becomes where `holds` says so of its row as it is by then."""

    pk: int
    pool_pk: int
    key: str
    before: ProbeState
    state: ProbeState
    values: dict[str, Any]
    holds: Callable[[BackendHealth], bool]

    @property
    def flips(self) -> bool:
        return self.state.verdict is not self.before.verdict


def record(found: Sequence[tuple[Job, Result]], now: datetime) -> None:
    """Take results into account."""
    changes = [change for job, result in found if (change := _judged(job, result, now))]
    _write(changes, now)
    rounds.hasten(
        {
            (change.pool_pk, change.values["next_at"])
            for change in changes
            if change.values["next_at"]
        }
    )


def forget_maintained(now: datetime) -> None:
    """Backends that went into maintenance are not probed, and unknown."""
    rows = BackendHealth.objects.filter(backend__state=AdminState.MAINT)
    known = rows.exclude(verdict=Verdict.UNKNOWN).select_related("backend__pool")
    _write(
        [
            _Change(
                pk=row.backend_id,
                pool_pk=row.backend.pool_id,
                key=row.backend.key,
                before=_state(row),
                state=ProbeState(),
                values={
                    "reason": "in maintenance: not probed",
                    "code": None,
                    "latency_ms": None,
                    "next_at": None,
                },
                holds=_in_maintenance,
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
        next_at = now + timedelta(seconds=probe.fast_s)
    certificate_until = result.certificate_until or job.certificate_until
    kept = job.reason, job.code, job.certificate_until, job.next_at, before
    if kept == (result.reason, result.code, certificate_until, next_at, state):
        return None
    return _Change(
        pk=job.pk,
        pool_pk=job.of.pool_pk,
        key=job.key,
        before=before,
        state=state,
        values={
            "reason": result.reason,
            "code": result.code,
            "latency_ms": result.latency_ms,
            "certificate_until": certificate_until,
            "next_at": next_at,
        },
        holds=partial(_still_probed, job),
    )


def _still_probed(job: Job, row: BackendHealth) -> bool:
    backend = row.backend
    asked = job.spec.host, job.spec.port, job.spec.scheme, job.of.asked
    found = backend.host, backend.port, backend.scheme, specs.asked(backend.pool)
    return found == asked and not _in_maintenance(row)


def _in_maintenance(row: BackendHealth) -> bool:
    return row.backend.state == AdminState.MAINT


def _state(row: BackendHealth) -> ProbeState:
    return ProbeState(Verdict(row.verdict), row.successes, row.failures)


def _write(changes: Sequence[_Change], now: datetime) -> None:
    if not changes:
        return
    with transaction.atomic():
        # First, as `publish.change` does: nobody else writes health or configuration
        # between our reading and our writing.
        PublishedState.lock()
        rows = _locked([change.pk for change in changes])
        applied = [
            (change, row)
            for change in changes
            if (row := rows.pop(change.pk, None))
            and _state(row) == change.before
            and change.holds(row)
        ]
        for change, row in applied:
            _assign(row, change, now)
        update_many([row for _, row in applied], _WRITTEN)
        flipped = [change for change, _ in applied if change.flips]
        if flipped:
            HealthEvent.objects.bulk_create(_event(change, now) for change in flipped)
            publish.health_changed()
    for change in flipped:
        level = logging.WARNING if change.state.verdict is Verdict.DOWN else logging.INFO
        logger.log(
            level, "%s is %s: %s", change.key, change.state.verdict, change.values["reason"]
        )


def _locked(pks: Sequence[int]) -> dict[int, BackendHealth]:
    """By the backend's id."""
    rows = BackendHealth.objects.filter(backend__in=pks).select_related("backend__pool")
    rows = rows.only("backend", "verdict", "successes", "failures", "since", *_CONFIGURED)
    if connections[rows.db].features.has_select_for_update_of:
        rows = rows.select_for_update(of=("self",)).order_by("pk")
    return {row.backend_id: row for row in rows}


def _assign(row: BackendHealth, change: _Change, now: datetime) -> None:
    for name, value in change.values.items():
        setattr(row, name, value)
    row.verdict = change.state.verdict.value
    row.successes, row.failures = change.state.successes, change.state.failures
    row.changed_at = now
    if change.flips:
        row.since = now


def _event(change: _Change, now: datetime) -> HealthEvent:
    return HealthEvent(
        backend_id=change.pk,
        at=now,
        old=change.before.verdict.value,
        new=change.state.verdict.value,
        reason=change.values["reason"],
        seen_by=own_name(),
    )
