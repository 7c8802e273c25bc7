"""How much of the past is kept: POOLS_KEEP_REVISIONS, and POOLS_KEEP_EVENTS of each backend.

Alerts that are over, and messages, are kept for POOLS_KEEP_HISTORY_DAYS.

`trim` is called every few seconds and costs three small queries while nothing is new.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db.models import Count
from django.utils import timezone

from pools import conf
from pools.models import Alert, Delivery, HealthEvent, PublishedState, Revision
from pools.models.alert import DeliveryState

_seen = 0  # the newest event when this process last looked

ALERTS_EACH_S = 600.0
_alerts_at = float("-inf")  # when this process last trimmed them, of time.monotonic


def trim() -> None:
    """Delete what is older than what is to be kept."""
    now = conf.current()
    _trim_revisions(now.keep_revisions)
    _trim_events(now.keep_events)
    _trim_alerts(now.keep_history_days)


def _trim_revisions(keep: int) -> None:
    """Numbers have no gaps, and the newest is the one in force."""
    live = PublishedState.objects.filter(pk=PublishedState.KEY).values_list("revision")
    (number,) = live.first() or (0,)
    old = Revision.objects.filter(number__lte=number - keep)
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


def _trim_alerts(days: float) -> None:
    """Now and then, as nothing is lost where they stay for some minutes longer."""
    global _alerts_at
    if time.monotonic() - _alerts_at < ALERTS_EACH_S:
        return
    past = timezone.now() - timedelta(days=days)
    for old in (
        Alert.objects.filter(ended_at__lt=past),
        Delivery.objects.filter(created_at__lt=past).exclude(state=DeliveryState.PENDING),
    ):
        if old.exists():
            old.delete()
    _alerts_at = time.monotonic()
