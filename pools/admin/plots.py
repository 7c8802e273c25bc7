"""Plots of a pool's or a backend's traffic, and the figures that they are drawn of."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from pools.control import figures

TITLES = {
    "15m": gettext_lazy("15 minutes"),
    "24h": gettext_lazy("24 hours"),
    "7d": gettext_lazy("7 days"),
}


def of(page: str, pk: int) -> SafeString:
    """One for each window, drawn by plot.js of what the admin's `page` answers."""
    drawn = format_html_join(
        "",
        '<figure class="pools-window"><figcaption>{}</figcaption>'
        '<div class="pools-plot" data-plot-url="{}?window={}"></div></figure>',
        (
            (title, reverse(f"admin:{page}", args=(pk,)), window)
            for window, title in TITLES.items()
        ),
    )
    return format_html('<div class="pools-windows">{}</div>', drawn)


def answer(request: HttpRequest, **of: Any) -> JsonResponse:
    """A Series of `?window=` (15m where it is none), as `figures.series` takes it."""
    window = request.GET.get("window", "")
    found = figures.series(window if window in figures.WINDOWS else "15m", **of)
    return JsonResponse(found.plain())
