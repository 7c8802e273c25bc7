"""What probes say of every backend, as far as it is still news.

A verdict holds while rounds of probes go on: when a pool's last round is older than three
of its intervals, its verdicts are unknown. Probes that are off say nothing, and neither
does anything of a backend in maintenance, which is not probed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from pools.core.document import AdminState, ProbeKind
from pools.core.fields import host_port
from pools.core.probing import Verdict
from pools.models import Backend

_STALE_INTERVALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Verdicts by backend key, and when they may be others by the passing of time alone."""

    verdicts: dict[str, Verdict]
    until: datetime | None


def stale_at(done_at: datetime, interval_s: float) -> datetime:
    """From when on verdicts are unknown, of a pool whose last round ended at `done_at`."""
    return done_at + timedelta(seconds=_STALE_INTERVALS * interval_s)


def health_map(now: datetime | None = None) -> dict[str, Verdict]:
    """The verdict on each backend, by key; one query."""
    return read(now or timezone.now()).verdicts


def read(now: datetime) -> Reading:
    """The verdicts at `now`; one query, whatever the number of pools."""
    verdicts: dict[str, Verdict] = {}
    until: datetime | None = None
    rows = Backend.objects.values_list(
        "pool__name",
        "host",
        "port",
        "state",
        "pool__probe_kind",
        "pool__probe_interval_s",
        "pool__schedule__done_at",
        "health__verdict",
    )
    for pool, host, port, state, kind, interval_s, done_at, verdict in rows.order_by():
        key = f"{pool}/{host_port(host, port)}"
        verdicts[key] = Verdict.UNKNOWN
        if kind == ProbeKind.OFF or state == AdminState.MAINT:
            continue
        if done_at and now < stale_at(done_at, interval_s):
            verdicts[key] = Verdict(verdict or Verdict.UNKNOWN)
            news_at = stale_at(done_at, interval_s)
        else:
            news_at = now + timedelta(seconds=interval_s)  # when a round may have ended
        until = min(until, news_at) if until else news_at
    return Reading(verdicts=verdicts, until=until)


def recovered(ejected: Mapping[str, datetime]) -> Iterator[str]:
    """Which of the ejected backends, by key with when that was, a probe has passed since.

    One query. A round that ended more than an interval after the ejection began after it.
    """
    rows = Backend.objects.filter(
        pool__name__in={key.partition("/")[0] for key in ejected},
        health__verdict=Verdict.UP,
        health__failures=0,
    ).values_list(
        "pool__name", "host", "port", "pool__probe_interval_s", "pool__schedule__done_at"
    )
    for pool, host, port, interval_s, done_at in rows.order_by():
        key = f"{pool}/{host_port(host, port)}"
        since = ejected.get(key)
        if since and done_at and done_at - since > timedelta(seconds=interval_s):
            yield key
