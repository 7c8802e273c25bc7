"""Health as the console shows it: a colour, a word and the reason, never more than is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from pools.control import clock
from pools.control.readings import WITH, Reading, moment, read
from pools.core.probing import Verdict
from pools.models import Backend

__all__ = ["WITH", "Reading", "moment", "read"]


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
    if reading.since is None:
        return ""
    if clock.now() - reading.since < timedelta(minutes=1):
        return "under a minute"
    return timesince(reading.since, depth=1)


def tally(backends: Iterable[Backend]) -> SafeString:
    """Backends up of all: "3 of 4 up", with a colour, and how many are not known."""
    found = [read(backend).verdict for backend in backends]
    return tallied(found.count(Verdict.UP), found.count(Verdict.UNKNOWN), len(found))


def tallied(up: int, unknown: int, total: int) -> SafeString:
    """As `tally`, of what was counted already."""
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
