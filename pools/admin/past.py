"""A backend's past, as its page shows it: health of a day, uptime, and what its probes took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.admin import plots
from pools.admin.health import moment
from pools.admin.numbers import lasting
from pools.control import clock, past
from pools.control.past import Latency, Span, Uptime
from pools.core.probing import Verdict
from pools.models import Backend

SHOWN = timedelta(days=1)
_WIDTH, _HEIGHT = 288, 40  # two units for each bucket of a day
_COLUMNS = 288  # of the strip: five minutes each
# What differs by more than its colour: top and height of each verdict, of 20.
_BARS = {Verdict.UP: (8, 12), Verdict.DOWN: (0, 20), Verdict.UNKNOWN: (17, 3)}


def strip(backend: Backend) -> SafeString:
    """The health of the last day as a drawing, and in words for who does not see it."""
    now = clock.now()
    spans = past.spans(backend.pk, SHOWN, now)
    bars = format_html_join(
        "",
        '<rect class="pools-{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        (
            (verdict.value, first, _BARS[verdict][0], last - first, _BARS[verdict][1], title)
            for verdict, first, last, title in _bars(spans, now)
        ),
    )
    words = _in_words(spans)
    return format_html(
        '<svg class="pools-strip" viewBox="0 0 {} 20" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg><span class="pools-strip-ends" aria-hidden="true">'
        "<span>{}</span><span>{}</span></span>"
        '<span class="pools-strip-words">{}</span>',
        _COLUMNS,
        _("Health of the last 24 hours: %(words)s") % {"words": words},
        bars,
        _("24 h ago"),
        _("now"),
        words,
    )


def _bars(spans: Sequence[Span], now: datetime) -> Iterator[tuple[Verdict, int, int, str]]:
    """Columns of one verdict side by side, with what they stand for. Down is never too short
    to be seen; unknown is where nothing else is."""
    begin, step = now - SHOWN, SHOWN / _COLUMNS
    columns = [Verdict.UNKNOWN] * _COLUMNS
    titles = [""] * _COLUMNS
    for verdict in (Verdict.UNKNOWN, Verdict.UP, Verdict.DOWN):
        for span in spans:
            if span.verdict is not verdict:
                continue
            first = int((span.begins_at - begin) / step)
            last = max(first + 1, -int((begin - span.ends_at) // step))
            for column in range(first, min(last, _COLUMNS)):
                columns[column], titles[column] = verdict, _span_title(span)
    first = 0
    for column in range(1, _COLUMNS + 1):
        if column == _COLUMNS or titles[column] != titles[first]:
            yield columns[first], first, column, titles[first]
            first = column


def _span_title(span: Span) -> str:
    return _("%(verdict)s from %(begin)s to %(end)s (%(lasts)s)") % {
        "verdict": _(span.verdict.value),
        "begin": moment(span.begins_at),
        "end": moment(span.ends_at),
        "lasts": lasting(span.lasts),
    }


def _in_words(spans: Sequence[Span]) -> str:
    """ "down 2 times, 4 min 10 s in all; not known for 3 h"."""
    down = [span for span in spans if span.verdict is Verdict.DOWN]
    unknown = [span for span in spans if span.verdict is Verdict.UNKNOWN]
    parts = []
    if down:
        said = ngettext(
            "down once, for %(lasts)s", "down %(count)d times, %(lasts)s in all", len(down)
        )
        parts.append(said % {"count": len(down), "lasts": lasting(_sum(down))})
    if unknown:
        parts.append(_("not known for %(lasts)s") % {"lasts": lasting(_sum(unknown))})
    return "; ".join(parts) or _("up all the time")


def _sum(spans: Sequence[Span]) -> timedelta:
    return sum((span.lasts for span in spans), timedelta())


def plot(backend: Backend) -> SafeString:
    """Its requests and probes, drawn by plot.js."""
    return plots.drawn(reverse("admin:pools_backend_figures", args=(backend.pk,)))


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
        return _("nothing yet: it is written each ten minutes")
    passed = sum(one.probes - one.failures for one in found)
    mean = sum((one.mean_ms or 0) * (one.probes - one.failures) for one in found) / passed
    worst = max(one.worst_ms or 0 for one in found)
    words = _("%(mean)s on average, %(worst)s at worst, in 24 h") % {
        "mean": _ms(mean),
        "worst": _ms(worst),
    }
    return format_html('{}<span class="pools-reason">{}</span>', _line(found, now), words)


def _share(one: Uptime, window: timedelta) -> str:
    if one.share is None:
        return _("not known")
    # 99.996 % is not 100 %.
    shown = "100 %" if one.share == 1 else f"{min(one.share * 100, 99.99):.2f} %"
    known = timedelta(seconds=one.known_s)
    if known > window * 0.99:
        return shown
    return _("%(share)s of %(span)s") % {"share": shown, "span": _span(known)}


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if not minutes:
        return f"{int(length.total_seconds())} s"
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    days = minutes // 1440
    return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}


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
