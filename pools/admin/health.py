"""Health as the console shows it: a colour, a word and the reason, never more than is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ObjectDoesNotExist
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from pools.control import verdicts
from pools.core.document import AdminState, ProbeKind
from pools.core.probing import Verdict
from pools.models import Backend, BackendHealth

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
        return Reading(verdict=Verdict.UNKNOWN, reason="not probed in maintenance")
    if pool.probe_kind == ProbeKind.OFF:
        return Reading(verdict=Verdict.UNKNOWN, reason="the pool has no probe")
    health = _health(backend)
    done_at = _done_at(backend)
    if health is None or done_at is None:
        return Reading(verdict=Verdict.UNKNOWN, reason="not probed yet")
    if (now or timezone.now()) >= verdicts.stale_at(done_at, pool.probe_interval_s):
        return Reading(verdict=Verdict.UNKNOWN, reason=f"no probe since {moment(done_at)}")
    return Reading(verdict=Verdict(health.verdict), reason=health.reason, since=health.since)


def badge(verdict: Verdict) -> SafeString:
    return format_html('<span class="pools-badge pools-{}">{}</span>', verdict, verdict)


def state_badge(backend: Backend) -> SafeString:
    return format_html(
        '<span class="pools-badge pools-{}">{}</span>', backend.state, backend.state
    )


def shown(backend: Backend) -> SafeString:
    """The badge with the reason behind it."""
    reading = read(backend)
    return format_html(
        '{} <span class="pools-reason">{}</span>', badge(reading.verdict), reading.reason
    )


def linked(backend: Backend) -> SafeString:
    """As `shown`, leading to the backend's page, where its events are."""
    page = reverse("admin:pools_backend_change", args=(backend.pk,))
    return format_html('<a href="{}">{}</a>', page, shown(backend))


def since(backend: Backend) -> str:
    """How long the verdict has been what it is: "5 minutes"; "" where that is not known."""
    reading = read(backend)
    return timesince(reading.since, depth=1) if reading.since else ""


def tally(backends: Iterable[Backend]) -> SafeString:
    """Backends up of all: "3 of 4 up", with a colour, and how many are not known."""
    found = [read(backend).verdict for backend in backends]
    up, total = found.count(Verdict.UP), len(found)
    unknown = found.count(Verdict.UNKNOWN)
    if not total:
        return format_html('<span class="pools-badge pools-down">{}</span>', "no backends")
    if up == total:
        colour = "up"
    elif unknown == total:
        colour = "unknown"
    else:
        colour = "partly" if up or unknown else "down"
    text = f"{up} of {total} up" + (f", {unknown} unknown" if unknown else "")
    return format_html('<span class="pools-badge pools-{}">{}</span>', colour, text)


def moment(at: datetime) -> str:
    """A time as one compares it with a log: to the second."""
    return date_format(timezone.localtime(at), "Y-m-d H:i:s")


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
