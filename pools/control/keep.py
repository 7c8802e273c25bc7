"""How much of the past is kept: POOLS_KEEP_REVISIONS, POOLS_KEEP_EVENTS of each backend,
POOLS_KEEP_LATENCIES_DAYS, and gaps for as long as uptime is told.

Alerts that are over, and messages, are kept for POOLS_KEEP_HISTORY_DAYS, the audit log for
POOLS_KEEP_AUDIT_DAYS; rows of processes
that are long gone go too. `trim` is called every few seconds and costs a few small queries
while nothing is new.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.db.models import Count, QuerySet

from pools import conf
from pools.control import clock, processes
from pools.control.past import WINDOWS
from pools.models import (
    Alert,
    AuditEntry,
    Delivery,
    HealthEvent,
    LatencyBucket,
    ProbeGap,
    PublishedState,
    Revision,
)
from pools.models.alert import DeliveryState

_seen = 0  # the newest event when this process last looked

ALERTS_EACH_S = 600.0
_alerts_at = float("-inf")  # when this process last trimmed them, of time.monotonic


def trim() -> None:
    """Delete what is older than what is to be kept."""
    now = conf.current()
    _trim_revisions(now.keep_revisions)
    _trim_events(now.keep_events)
    at = clock.now()
    kept = timedelta(days=now.keep_latencies_days)
    _delete(LatencyBucket.objects.filter(begins_at__lt=at - kept))
    _delete(ProbeGap.objects.filter(ends_at__lt=at - max(WINDOWS.values())))
    _trim_history(now.keep_history_days, now.keep_audit_days)
    processes.trim()


def _trim_revisions(keep: int) -> None:
    """Numbers have no gaps, and the newest is the one in force."""
    live = PublishedState.objects.filter(pk=PublishedState.KEY).values_list("revision")
    (number,) = live.first() or (0,)
    _delete(Revision.objects.filter(number__lte=number - keep))


def _delete(old: QuerySet[Any]) -> None:
    if old.exists():  # a delete of nothing, too, would make SQLite's other writers wait
        old.delete()


def _trim_events(keep: int) -> None:
    global _seen
    newest = HealthEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    if newest == _seen:
        return
    fresh = HealthEvent.objects.filter(pk__gt=_seen) if _seen < newest else HealthEvent.objects
    counts = (
        HealthEvent.objects.order_by()
        .filter(backend__in=fresh.order_by().values("backend"))
        .values_list("backend")
        .annotate(kept=Count("pk"))
    )
    for backend, _ in counts.filter(kept__gt=keep):
        events = HealthEvent.objects.filter(backend=backend)
        events.filter(pk__in=events.values("pk")[keep:]).delete()
    _seen = newest


def _trim_history(days: float, audit_days: float) -> None:
    """Now and then, as nothing is lost where they stay for some minutes longer."""
    global _alerts_at
    if time.monotonic() - _alerts_at < ALERTS_EACH_S:
        return
    past = clock.now() - timedelta(days=days)
    _delete(Alert.objects.filter(ended_at__lt=past))
    told = Delivery.objects.exclude(state=DeliveryState.PENDING)
    _delete(told.filter(created_at__lt=past))
    _delete(AuditEntry.objects.filter(at__lt=clock.now() - timedelta(days=audit_days)))
    _alerts_at = time.monotonic()
