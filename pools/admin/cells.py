"""Figures as a dense table shows them: short, in one place of the column, and a dash where
nothing is known."""

from __future__ import annotations

from datetime import timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from pools.admin.numbers import lasting
from pools.control.figures import Rates
from pools.control.past import Uptime

NOTHING = SafeString('<span class="pools-faint">–</span>')
_MANY_ERRORS = 0.01  # of requests; from here on a share is marked


def rate(value: float | None) -> SafeString:
    """Of something a second: "0.2", "37", "12.4k"."""
    if value is None:
        return NOTHING
    if value == 0:
        return SafeString('<span class="pools-faint">0</span>')
    if value < 9.95:
        return SafeString(f"{max(value, 0.1):.1f}")
    if value < 9_999.5:
        return SafeString(f"{value:.0f}")
    return SafeString(f"{value / 1000:.1f}k")


def ms(value: float | None) -> SafeString:
    """ "3.2 ms", "250 ms", "1.3 s"."""
    if value is None:
        return NOTHING
    if value < 9.95:
        return SafeString(f"{value:.1f}&nbsp;ms")
    if value < 999.5:
        return SafeString(f"{value:.0f}&nbsp;ms")
    return SafeString(f"{value / 1000:.1f}&nbsp;s")


def share(value: float | None) -> SafeString:
    """Of requests that failed; one that many met is marked by a sign and a colour."""
    if value is None:
        return NOTHING
    if value == 0:
        return SafeString('<span class="pools-faint">0&nbsp;%</span>')
    # 0.04 % is not nothing, and 99.96 % is not all.
    percent = value * 100
    shown = f"{percent:.0f}" if percent == 100 else f"{min(max(percent, 0.1), 99.9):.1f}"
    if value < _MANY_ERRORS:
        return SafeString(f"{shown}&nbsp;%")
    return format_html(
        '<span class="pools-many" title="{}">▲&nbsp;{}&nbsp;%</span>', _("many errors"), shown
    )


def count(value: int | None) -> SafeString:
    if value is None:
        return NOTHING
    return SafeString(str(value)) if value else SafeString('<span class="pools-faint">0</span>')


def latencies(rates: Rates | None) -> SafeString:
    """The median and the 99th percentile of requests."""
    if rates is None or rates.p50_ms is None:
        return NOTHING
    return format_html(
        '<div>{}<span class="pools-why">{}</span></div>', ms(rates.p50_ms), ms(rates.p99_ms)
    )


def downtime(uptime: Uptime | None) -> SafeString:
    """Of a day, as far as it is known."""
    if uptime is None or not uptime.known_s:
        return NOTHING
    down_s = uptime.known_s - uptime.up_s
    if down_s < 1:
        return format_html('<span class="pools-faint">{}</span>', _("none"))
    share = _("%(share)s of the time known") % {"share": f"{down_s / uptime.known_s:.1%}"}
    return format_html('<span title="{}">{}</span>', share, lasting(timedelta(seconds=down_s)))


def line(rates: Rates | None) -> SafeString:
    """All of it in words: "3.4 requests a second, 3.2 ms / 25 ms, …"."""
    if rates is None:
        return format_html('<p class="pools-reason">{}</p>', _("Nothing in the last minute."))
    parts = (
        (_("requests/s"), rate(rates.requests_per_s)),
        (_("p50"), ms(rates.p50_ms)),
        (_("p99"), ms(rates.p99_ms)),
        (_("errors"), share(rates.error_share)),
        (_("retries/s"), rate(rates.retries_per_s)),
        (_("in flight"), count(rates.in_flight)),
    )
    return format_html(
        '<dl class="pools-rates">{}</dl>',
        format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", parts),
    )
