"""What probes say of every backend, as far as it is still news.

A verdict holds while rounds of probes go on: when a pool's last round is older than three
of its intervals, its verdicts are unknown. Probes that are off say nothing, and neither
does anything of a backend in maintenance, which is not probed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pools.control import clock
from pools.control.clock import Jumps
from pools.core.document import AdminState, ProbeKind
from pools.core.fields import host_port
from pools.core.probing import STALE_INTERVALS, Verdict
from pools.models import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Verdicts by backend key, and when they may be others by the passing of time alone."""

    verdicts: dict[str, Verdict]
    until: datetime | None


def fresh_for(interval_s: float) -> timedelta:
    """How long verdicts hold after a pool's last round."""
    return timedelta(seconds=STALE_INTERVALS * interval_s)


def stale_at(done_at: datetime, interval_s: float) -> datetime:
    """From when on verdicts are unknown, of a pool whose last round ended at `done_at`."""
    return done_at + fresh_for(interval_s)


def health_map(now: datetime | None = None, *, pool: str = "") -> dict[str, Verdict]:
    """The verdict on each backend, of one pool or of all, by key; one query."""
    return read(now or clock.now(), pool=pool).verdicts


def read(now: datetime, jumps: Jumps | None = None, *, pool: str = "") -> Reading:
    """The verdicts at `now`, by the database's clock; one query for any number of pools."""
    jumps = jumps or Jumps()
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
    if pool:
        rows = rows.filter(pool__name=pool)
    for name, host, port, state, kind, interval_s, done_at, verdict in rows.order_by():
        key = f"{name}/{host_port(host, port)}"
        verdicts[key] = Verdict.UNKNOWN
        if kind == ProbeKind.OFF or state == AdminState.MAINT:
            continue
        holds = fresh_for(interval_s)
        if done_at and (age := jumps.age(done_at, now)) < holds:
            verdicts[key] = Verdict(verdict or Verdict.UNKNOWN)
            news_at = now + holds - age
        else:
            news_at = now + timedelta(seconds=interval_s)  # when a round may have ended
        until = min(until, news_at) if until else news_at
    return Reading(verdicts=verdicts, until=until)


def recovered(ejected: Mapping[str, datetime]) -> Iterator[str]:
    """Which of the ejected backends, by key with when that was, a probe has passed since.

    One query. It must have been in a round that began after the ejection.
    """
    rows = Backend.objects.filter(
        pool__name__in={key.partition("/")[0] for key in ejected},
        health__verdict=Verdict.UP,
        health__failures=0,
    ).values_list("pool__name", "host", "port", "pool__schedule__began_at")
    for pool, host, port, began_at in rows.order_by():
        key = f"{pool}/{host_port(host, port)}"
        since = ejected.get(key)
        if since and began_at and began_at > since:
            yield key
