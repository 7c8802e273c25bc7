"""Figures over time as pages draw them: JSON for static/pools/plot.js.

    <div class="pools-plot" data-plot-url="{% url 'admin:pools_figures' %}?window=24h"></div>

An answer is {"refresh_s": 10, "charts": [{"title", "unit", "times", "lines": [{"label",
"values"}]}]}: `times` in epoch seconds, evenly spaced and ascending, and a value or null for
each. The Media of a page that has one takes CSS and JS.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from pools.control import clock, figures, past
from pools.control.figures import Series
from pools.models import Backend

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Backend]
else:
    _Base = object

CSS = ("pools/vendor/uplot/uPlot.min.css", "pools/plot.css")
JS = ("pools/vendor/uplot/uPlot.iife.min.js", "pools/plot.js")
FILES = forms.Media(css={"all": CSS}, js=JS)

Chart = dict[str, Any]
Line = tuple[str, Sequence[float | None]]

# How often a plot is drawn anew while one looks at it.
_REFRESH_S = {"15m": 10, "24h": 60, "7d": 300}


def windows() -> dict[str, str]:
    """Each window's name, as links have it, and its title."""
    return {"15m": _("15 minutes"), "24h": _("24 hours"), "7d": _("7 days")}


def drawn(url: str, **of: str) -> SafeString:
    """A plot of the last day of what `url` answers, and buttons that choose another window."""
    first = "24h"
    query = urlencode({**of, "window": first})
    found = {"url": f"{url}?{query}", "windows": windows(), "first": first}
    return render_to_string("pools/admin/plot.html", found)


def window_of(request: HttpRequest) -> str:
    """The window that was asked for, or the first; raises Http404 for one there is none of."""
    found = request.GET.get("window", "15m")
    if found not in figures.WINDOWS:
        raise Http404(f"window {found!r}: use one of {', '.join(figures.WINDOWS)}")
    return found


def answer(window: str, charts: Sequence[Chart]) -> HttpResponse:
    return JsonResponse({"refresh_s": _REFRESH_S[window], "charts": list(charts)})


def traffic(series: Series, *, total: bool) -> list[Chart]:
    """Requests, latencies and errors; connections, too, of the `total`."""
    times = series.times
    percents = [None if share is None else share * 100 for share in series.error_share]
    latencies = ("p50", series.p50_ms), ("p99", series.p99_ms)
    found = [
        chart(_("Requests"), _("/s"), times, (_("requests"), series.requests_per_s)),
        chart(_("Latency"), _("ms"), times, *latencies),
        chart(_("Errors"), "%", times, (_("of requests"), percents)),
    ]
    if total:
        line = (_("open"), series.connections)
        found.append(chart(_("Connections"), "", times, line))
    return found


def probes(backend: Backend, now: datetime) -> Chart:
    """What probes of a backend took in the last day, in buckets of ten minutes."""
    step_s = int(past.BUCKET.total_seconds())
    first = int((now - past.WINDOWS["24 h"]).timestamp()) // step_s * step_s
    times = list(range(first, int(now.timestamp()) + 1, step_s))
    found = {
        int(one.begins_at.timestamp()) // step_s * step_s: one
        for one in past.latencies(backend.pk, now - past.WINDOWS["24 h"])
    }
    each = [found.get(time) for time in times]
    return chart(
        _("Latency of probes"),
        _("ms"),
        times,
        (_("mean"), [one.mean_ms if one else None for one in each]),
        (_("worst"), [one.worst_ms if one else None for one in each]),
    )


def chart(title: str, unit: str, times: Sequence[float], *lines: Line) -> Chart:
    return {
        "title": title,
        "unit": unit,
        "times": times,
        "lines": [{"label": label, "values": _cut(values)} for label, values in lines],
    }


def _cut(values: Sequence[float | None]) -> list[float | None]:
    """To what can be seen, so that the answer stays small."""
    return [None if value is None else float(f"{value:.4g}") for value in values]


class BackendFigures(_Base):
    """For the admin of backends: the figures of one, at …/figures/ below its page."""

    def get_urls(self) -> list[URLPattern]:
        view: Any = self.admin_site.admin_view(self.figures_view)
        own: URLPattern = path("<int:pk>/figures/", view, name="pools_backend_figures")
        return [own, *super().get_urls()]

    def figures_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        backend = self.get_object(request, str(pk))
        if not self.has_view_permission(request, backend):
            raise PermissionDenied
        if backend is None:
            raise Http404("this backend is no longer there")
        window = window_of(request)
        charts = traffic(figures.series(window, backend=backend.key), total=False)
        if window == "24h":
            charts.append(probes(backend, clock.now()))
        return answer(window, charts)
