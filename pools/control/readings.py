"""What is known of one backend's health, with the reason in words, for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from pools.control import clock, verdicts
from pools.core.document import AdminState, ProbeKind
from pools.core.probing import Verdict
from pools.models import Backend, BackendHealth, Pool

# What a query of backends must bring along, so that rows add no queries.
WITH = ("pool__schedule", "health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known of a backend now; `since` only for a verdict that holds."""

    verdict: Verdict
    reason: str
    since: datetime | None = None


def read(backend: Backend, now: datetime | None = None) -> Reading:
    """The verdict on a backend as far as it is still news, by the rules of control.verdicts."""
    pool = backend.pool
    if backend.state == AdminState.MAINT:
        return Reading(verdict=Verdict.UNKNOWN, reason=_("not probed in maintenance"))
    if pool.probe_kind == ProbeKind.OFF:
        return Reading(verdict=Verdict.UNKNOWN, reason=_("the pool has no probe"))
    health = _health(backend)
    done_at = _done_at(backend)
    if health is None or done_at is None:
        return Reading(verdict=Verdict.UNKNOWN, reason=_("not probed yet"))
    if (now or clock.now()) >= verdicts.stale_at(done_at, pool.probe_interval_s):
        return Reading(
            verdict=Verdict.UNKNOWN, reason=_("no probe since %(at)s") % {"at": moment(done_at)}
        )
    return Reading(
        verdict=Verdict(health.verdict),
        reason=f"{health.reason}{_turning(health, pool)}",
        since=health.since,
    )


def moment(at: datetime) -> str:
    """A time as one compares it with a log: to the second."""
    return date_format(timezone.localtime(at), "Y-m-d H:i:s")


def _turning(health: BackendHealth, pool: Pool) -> str:
    """How far it is from another verdict, where the last probe spoke against this one."""
    if health.verdict == Verdict.UP and health.failures:
        so_far = {"count": health.failures, "of": pool.probe_fall}
        return _(", %(count)d of %(of)d failures") % so_far
    if health.verdict == Verdict.DOWN and health.successes:
        so_far = {"count": health.successes, "of": pool.probe_rise}
        return _(", %(count)d of %(of)d successes") % so_far
    return ""


def _health(backend: Backend) -> BackendHealth | None:
    try:
        return backend.health
    except ObjectDoesNotExist:
        return None


def _done_at(backend: Backend) -> datetime | None:
    try:
        return backend.pool.schedule.done_at
    except ObjectDoesNotExist:
        return None
