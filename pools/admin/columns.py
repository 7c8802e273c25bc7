"""Columns of what the data planes carried, alike in every list of what carries."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import cells, glance
from pools.admin.live_list import cell


class Traffic:
    """For an admin whose rows have a glance with `rates`."""

    @admin.display(description=gettext_lazy("in flight"))
    @cell
    def in_flight(self, row: Any) -> SafeString:
        rates = glance.rates(row)
        return cells.count(rates.in_flight if rates else None)

    @admin.display(description=gettext_lazy("requests/s"))
    @cell
    def requests(self, row: Any) -> SafeString:
        rates = glance.rates(row)
        return cells.rate(rates.requests_per_s if rates else None)

    @admin.display(description=gettext_lazy("p50 / p99"))
    @cell
    def latencies(self, row: Any) -> SafeString:
        return cells.latencies(glance.rates(row))

    @admin.display(description=gettext_lazy("errors"))
    @cell
    def errors(self, row: Any) -> SafeString:
        """Of requests; and where there are any, attempts after the first."""
        rates = glance.rates(row)
        if rates is None or not rates.retries_per_s:
            return cells.share(rates.error_share if rates else None)
        return format_html(
            '<div>{}<span class="pools-why">{}</span></div>',
            cells.share(rates.error_share),
            _("%(number)s retries/s") % {"number": cells.rate(rates.retries_per_s)},
        )
