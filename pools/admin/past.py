"""A backend's past, as its page shows it: uptime, and what its probes took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pools.control import clock, past
from pools.control.past import Latency, Uptime
from pools.models import Backend

SHOWN = timedelta(days=1)
_WIDTH, _HEIGHT = 288, 40  # two units for each bucket of a day


def uptime(backend: Backend) -> SafeString:
    """ "1 h 100 % · 24 h 99.93 % · 30 d 99.99 % of 12 days" """
    told = past.uptimes([backend.pk], clock.now())[backend.pk]
    parts = ((name, _share(one, past.WINDOWS[name])) for name, one in told.items())
    return format_html_join(" · ", "<strong>{}</strong> {}", parts)


def latency(backend: Backend) -> SafeString | str:
    """The last day: mean and worst in words, and a line of the means."""
    now = clock.now()
    found = [one for one in past.latencies(backend.pk, now - SHOWN) if one.mean_ms is not None]
    if not found:
        return "nothing yet: it is written each ten minutes"
    passed = sum(one.probes - one.failures for one in found)
    mean = sum((one.mean_ms or 0) * (one.probes - one.failures) for one in found) / passed
    worst = max(one.worst_ms or 0 for one in found)
    words = f"{_ms(mean)} on average, {_ms(worst)} at worst, in 24 h"
    return format_html('{}<span class="pools-reason">{}</span>', _line(found, now), words)


def _share(one: Uptime, window: timedelta) -> str:
    if one.share is None:
        return "not known"
    # 99.996 % is not 100 %.
    shown = "100 %" if one.share == 1 else f"{min(one.share * 100, 99.99):.2f} %"
    known = timedelta(seconds=one.known_s)
    return shown if known > window * 0.99 else f"{shown} of {_span(known)}"


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def _line(found: Sequence[Latency], now: datetime) -> SafeString:
    """Means over the day, as a drawing that says nothing to a screen reader."""
    most = max(one.mean_ms or 0 for one in found) or 1.0
    begin = now - SHOWN
    points = " ".join(
        f"{(one.begins_at - begin) / SHOWN * _WIDTH:.0f},"
        f"{_HEIGHT - (one.mean_ms or 0) / most * (_HEIGHT - 2):.1f}"
        for one in found
    )
    return format_html(
        '<svg class="pools-line" viewBox="0 0 {} {}" aria-hidden="true">'
        '<polyline points="{}"/></svg>',
        _WIDTH,
        _HEIGHT,
        points,
    )
