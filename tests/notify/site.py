"""A site whose health tests set as they like, at times that they say."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from pools.models import (
    Backend,
    BackendHealth,
    Channel,
    Delivery,
    Pool,
    ProbeSchedule,
    Process,
    Route,
)
from pools.notify import alerts

NOW = timezone.now().replace(microsecond=0)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def pool(name="web", *, ports=(1, 2, 3, 4), routed=True, **settings) -> Pool:
    """A pool whose backends are up, and that nobody has to probe within an hour."""
    row = Pool.objects.create(name=name, **{"probe_interval_s": 3600.0, **settings})
    ProbeSchedule.objects.create(pool=row, next_at=NOW, done_at=NOW)
    for port in ports:
        backend = row.backends.create(host="10.0.0.1", port=port)
        BackendHealth.objects.create(backend=backend, verdict="up", since=at(-3600))
    if routed:
        Route.objects.create(name=name, pool=row, path_prefix=f"/{name}")
    return row


def find(port: int) -> Backend:
    return Backend.objects.get(port=port)


def down(*ports: int, seconds: float, reason: str = "connection refused") -> None:
    rows = BackendHealth.objects.filter(backend__port__in=ports)
    rows.update(verdict="down", since=at(seconds), reason=reason)


def up(*ports: int, seconds: float) -> None:
    rows = BackendHealth.objects.filter(backend__port__in=ports)
    rows.update(verdict="up", since=at(seconds), reason="status 200")


def channel(name="ops", **settings) -> Channel:
    given = {"kind": "webhook", "url": "http://127.0.0.1:9/hook", "kinds": ["backend_down"]}
    return Channel.objects.create(name=name, **{**given, **settings})


def process(name="gw:1", *, kind="gateway", seconds: float = 0, **report) -> Process:
    row, _ = Process.objects.update_or_create(
        kind=kind,
        name=name,
        defaults={"started_at": NOW, "seen_at": at(seconds), "report": report},
    )
    return row


def evaluated(*seconds: float) -> None:
    """Evaluations at these times."""
    for second in seconds:
        assert alerts.evaluate(at(second))


def told(name: str = "ops") -> list[str]:
    """The subjects of a channel's messages, in order."""
    rows = Delivery.objects.filter(channel__name=name).order_by("pk")
    return list(rows.values_list("subject", flat=True))
