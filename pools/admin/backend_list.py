"""The list of backends, as dense as a page of statistics, with the operator's switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import columns, filters, glance, health, numbers, tags
from pools.admin.live import LiveList, cell
from pools.admin.switching import Switching
from pools.core.document import AdminState
from pools.models import Backend
from pools.notify.words import duration


class PoolTagFilter(tags.TagFilter):
    path = "pool__tags"


class BackendList(columns.Traffic, LiveList, Switching):
    list_display = (
        "address",
        "in_pool",
        "admin_state",
        "health_now",
        "last_probe",
        "weighs",
        "in_flight",
        "requests",
        "latencies",
        "errors",
        "retries",
        "ejected",
        "downtime",
    )
    list_filter = (
        filters.PoolFilter,
        filters.HealthFilter,
        filters.TroubleFilter,
        "state",
        PoolTagFilter,
        "backup",
        "scheme",
    )
    list_select_related = ("pool", *health.WITH)
    list_per_page = 100
    search_fields = ("host", "pool__name", "pool__tags")
    search_help_text = gettext_lazy("Host, pool or tag")
    ordering = ("pool__name", "host", "port")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = []
        if self.has_add_permission(request):
            page = reverse(f"{self.admin_site.name}:pools_pool_paste_backends")
            links.append({"url": page, "title": _("Paste many")})
        return super().changelist_view(request, {"list_links": links, **(extra_context or {})})

    def read_page(self, request: HttpRequest, rows: Sequence[Backend]) -> None:
        kept = request.META.get("QUERY_STRING", "")
        operates = self.has_operate_permission(request)
        glance.backends(rows)
        for row in rows:
            vars(row)["query"] = f"?{urlencode({'_changelist_filters': kept})}" if kept else ""
            vars(row)["operates"] = operates

    @admin.display(description=gettext_lazy("backend"), ordering="host")
    def address(self, backend: Backend) -> SafeString:
        mark = format_html('<span class="pools-mark">{}</span>', _("backup"))
        scheme = format_html('<span class="pools-mark">{}</span>', backend.scheme)
        return format_html(
            '<span class="pools-name">{}</span>{}{}',
            backend.address,
            mark if backend.backup else "",
            scheme if backend.scheme != "http" else "",
        )

    @admin.display(description=gettext_lazy("pool"), ordering="pool__name")
    def in_pool(self, backend: Backend) -> SafeString:
        page = reverse("admin:pools_pool_change", args=(backend.pool_id,))
        return format_html('<a href="{}">{}</a>', page, backend.pool.name)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def admin_state(self, backend: Backend) -> SafeString:
        if vars(backend).get("operates"):
            return self.switch(backend, vars(backend)["query"])
        return health.state_badge(backend)

    @admin.display(description=gettext_lazy("health"), ordering="health__since")
    @cell
    def health_now(self, backend: Backend) -> SafeString:
        """The badge, since when, and why."""
        reading = glance.of_backend(backend).reading
        return format_html(
            '{} <span class="pools-since">{}</span>'
            '<span class="pools-why" title="{}">{}</span>',
            health.badge(reading.verdict),
            health.since(backend),
            reading.reason,
            reading.reason,
        )

    @admin.display(description=gettext_lazy("last probe"))
    @cell
    def last_probe(self, backend: Backend) -> SafeString:
        found = glance.of_backend(backend)
        if found.probed_at is None:
            return numbers.NOTHING
        code = backend.health.code
        return format_html(
            '{}{}<span class="pools-why">{}</span>',
            f"{code} · " if code else "",
            numbers.ms(found.latency_ms),
            _("%(time)s ago") % {"time": duration(found.now - found.probed_at)},
        )

    @admin.display(description=gettext_lazy("weight"), ordering="weight")
    def weighs(self, backend: Backend) -> SafeString:
        """What counts now: none of one that is not ready."""
        if backend.state == AdminState.READY:
            return format_html("{}", backend.weight)
        why = _("its weight is %(weight)d") % {"weight": backend.weight}
        return format_html(
            '0 <span class="pools-faint" title="{}">/{}</span>', why, backend.weight
        )

    @admin.display(description=gettext_lazy("ejected, leaving"))
    @cell
    def ejected(self, backend: Backend) -> SafeString:
        """By whom, for how long and why; and whether one that leaves may be stopped."""
        return glance.of_backend(backend).seen.of(backend) or numbers.NOTHING

    @admin.display(description=gettext_lazy("down in 24 h"))
    def downtime(self, backend: Backend) -> SafeString:
        uptime = glance.of_backend(backend).uptime
        return numbers.downtime(uptime)
