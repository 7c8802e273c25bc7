"""The list of pools: each with its backends, its traffic and what is wrong with it."""

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
from django.utils.translation import gettext_lazy, ngettext

from pools.admin import columns, filters, glance, health, tags
from pools.admin.live_list import LiveList, cell
from pools.admin.paste import Pasting
from pools.control.teams import visible_routes
from pools.models import Pool


class PoolList(columns.Traffic, LiveList, Pasting):
    list_display = (
        "pool",
        "backends_up",
        "in_flight",
        "requests",
        "latencies",
        "errors",
        "chooses",
        "routed",
        "alerts",
    )
    list_filter = (filters.PoolHealthFilter, tags.TagFilter, "policy")
    list_per_page = 100
    search_fields = ("name", "tags", "backends__host")
    search_help_text = gettext_lazy("Name, tag or host of a backend")
    ordering = ("name",)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = []
        if self.has_add_permission(request) and self.may_paste(request):
            page = reverse(f"{self.admin_site.name}:pools_pool_paste")
            links.append({"url": page, "title": _("Add a pool from a list")})
        return super().changelist_view(request, {"list_links": links, **(extra_context or {})})

    def read_page(self, request: HttpRequest, rows: Sequence[Pool]) -> None:
        glance.pools(rows, visible_routes(request.user))

    @admin.display(description=gettext_lazy("pool"), ordering="name")
    def pool(self, pool: Pool) -> SafeString:
        return format_html('<span class="pools-name">{}</span>', pool.name)

    @admin.display(description=gettext_lazy("policy"), ordering="policy")
    def chooses(self, pool: Pool) -> SafeString:
        return format_html(
            '{}<span class="pools-tags">{}</span>',
            pool.get_policy_display(),
            tags.chips(pool, pool.tags),
        )

    @admin.display(description=gettext_lazy("backends"))
    @cell
    def backends_up(self, pool: Pool) -> SafeString:
        found = glance.of_pool(pool)
        return format_html(
            '<a href="{}?pool__id__exact={}">{}</a>{}',
            reverse("admin:pools_backend_changelist"),
            pool.pk,
            health.tallied(found.tally),
            format_html('<span class="pools-why">{}</span>', found.seen.panic(pool)),
        )

    @admin.display(description=gettext_lazy("routing rules"))
    def routed(self, pool: Pool) -> SafeString:
        found = glance.of_pool(pool)
        links = format_html_join(
            ", ",
            '<a href="{}">{}</a>',
            ((reverse("admin:pools_route_change", args=(r.pk,)), r.name) for r in found.routes),
        )
        if not links:
            return format_html('<span class="pools-faint">{}</span>', _("none"))
        if not found.routes_more:
            return links
        more = ngettext("and %(more)d more", "and %(more)d more", found.routes_more)
        return format_html(
            '{} <a href="{}?pool__id__exact={}">{}</a>',
            links,
            reverse("admin:pools_route_changelist"),
            pool.pk,
            more % {"more": found.routes_more},
        )

    @admin.display(description=gettext_lazy("alerts"))
    @cell
    def alerts(self, pool: Pool) -> SafeString:
        count = glance.of_pool(pool).alerts
        if not count:
            return format_html('<span class="pools-faint">{}</span>', _("none"))
        told = ngettext("%(count)d open", "%(count)d open", count) % {"count": count}
        page = reverse("admin:pools_alert_changelist")
        query = urlencode({"open": "yes", "pool": pool.name})
        return format_html(
            '<a href="{}?{}"><span class="pools-badge pools-down">{}</span></a>',
            page,
            query,
            told,
        )
