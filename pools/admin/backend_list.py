"""The list of backends, as dense as a page of statistics, with the operator's switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import cells, columns, filters, glance, health, tags
from pools.admin.live_list import LiveList, cell
from pools.admin.numbers import lasting
from pools.admin.switching import Switching
from pools.core.document import AdminState, Scheme
from pools.models import Backend


class PoolTagFilter(tags.TagFilter):
    path = "pool__tags"


class BackendList(columns.Traffic, LiveList, Switching):
    list_display = (
        "address",
        "admin_state",
        "health_told",
        "weighs",
        "in_flight",
        "requests",
        "latencies",
        "errors",
        "downtime",
    )
    list_display_links = None  # the first column has two
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
    sought = ("id", "pk", "pool")
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
        mark = '<span class="pools-mark">{}</span>'
        return format_html(
            '<div><a class="pools-name" href="{}{}">{}</a>{}{}'
            '<span class="pools-why"><a href="{}">{}</a></span></div>',
            reverse("admin:pools_backend_change", args=(backend.pk,)),
            vars(backend).get("query", ""),
            backend.address,
            format_html(mark, _("backup")) if backend.backup else "",
            format_html(mark, backend.scheme) if backend.scheme != Scheme.HTTP else "",
            reverse("admin:pools_pool_change", args=(backend.pool_id,)),
            backend.pool.name,
        )

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def admin_state(self, backend: Backend) -> SafeString:
        if vars(backend).get("operates"):
            return self.switch(backend, vars(backend)["query"])
        return health.state_badge(backend)

    @admin.display(description=gettext_lazy("health"), ordering="health__since")
    @cell
    def health_told(self, backend: Backend) -> SafeString:
        """The badge, since when, why, what the last probe took and when that was; and who
        leaves it out, or whether it may be stopped."""
        found = glance.of_backend(backend)
        probe = []
        if found.probed_at:
            age = lasting(found.now - found.probed_at)
            probe.append(_("probed %(time)s ago") % {"time": age})
        if found.latency_ms is not None:
            probe.append(cells.ms(found.latency_ms))
        return format_html(
            '<div>{} <span class="pools-since">{}</span>'
            '<span class="pools-why">{}<span class="pools-faint">{}</span></span>{}</div>',
            health.badge(found.reading.verdict),
            health.since(backend),
            found.reading.reason,
            format_html_join("", " · {}", ((part,) for part in probe)),
            found.seen.of(backend),
        )

    @admin.display(description=gettext_lazy("weight"), ordering="weight")
    def weighs(self, backend: Backend) -> SafeString:
        """What counts now: none of one that is not ready."""
        if backend.state == AdminState.READY:
            return format_html("{}", backend.weight)
        why = _("its weight is %(weight)d") % {"weight": backend.weight}
        return format_html(
            '<span>0 <span class="pools-faint" title="{}">/ {}</span></span>',
            why,
            backend.weight,
        )

    @admin.display(description=gettext_lazy("down in 24 h"))
    def downtime(self, backend: Backend) -> SafeString:
        return cells.downtime(glance.of_backend(backend).uptime)
