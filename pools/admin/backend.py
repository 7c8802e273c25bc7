"""Backends of all pools, as a page of statistics with the operator's switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import (
    address,
    cells,
    deletion,
    glance,
    health,
    past,
    plots,
    teams,
    traffic,
)
from pools.admin.backend_list import BackendList
from pools.admin.once import once
from pools.models import Backend

EVENTS_SHOWN = 20


@admin.register(Backend)
class BackendAdmin(plots.BackendFigures, teams.Scoped, BackendList, address.Typed):
    change_form_template = "pools/admin/backend_form.html"
    readonly_fields = (
        *("health_now", "in_processes", "last_day", "uptime", "latency", "events"),
        *("carried", "over_time"),
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("pool", "scheme"),
                    ("host", "port"),
                    ("weight", "max_in_flight"),
                    ("state", "backup"),
                )
            },
        ),
        (
            gettext_lazy("Health"),
            {
                "fields": (
                    *("health_now", "in_processes", "last_day"),
                    *("uptime", "latency", "events"),
                )
            },
        ),
        (gettext_lazy("Traffic"), {"fields": ("carried", "over_time")}),
    )

    class Media:
        css = {"all": ("pools/admin.css", "pools/lists.css", "pools/live.css", *plots.CSS)}
        js = ("pools/live.js", "pools/lists.js", *plots.JS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backend]:
        return super().get_queryset(request).select_related("pool", *health.WITH)

    def get_fieldsets(self, request: HttpRequest, obj: Backend | None = None) -> Any:
        found = super().get_fieldsets(request, obj)
        return found if obj else found[:1]

    def get_deleted_objects(
        self, objs: Sequence[Backend] | QuerySet[Backend], request: HttpRequest
    ) -> deletion.Deletion:
        return deletion.of_backends(objs, request, self.admin_site)

    # --- the page of one -----------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        own = {}
        backend = self.get_object(request, object_id)
        if backend and self.has_operate_permission(request, backend):
            own["switch"] = self.switch(backend)
        return super().change_view(
            request, object_id, form_url, {**own, **(extra_context or {})}
        )

    @admin.display(description=gettext_lazy("carried"))
    @once
    def carried(self, backend: Backend) -> SafeString:
        rates = glance.of_backend(backend).rates
        return cells.line(rates)

    @admin.display(description=gettext_lazy("health"))
    def health_now(self, backend: Backend) -> SafeString:
        return health.shown(backend)

    @admin.display(description=gettext_lazy("in processes"))
    @once
    def in_processes(self, backend: Backend) -> SafeString:
        return traffic.Seen().of(backend) or format_html("{}", _("as usual"))

    @admin.display(description=gettext_lazy("last 24 hours"))
    @once
    def last_day(self, backend: Backend) -> SafeString | str:
        return past.strip(backend)

    @admin.display(description=gettext_lazy("requests and probes"))
    @once
    def over_time(self, backend: Backend) -> SafeString | str:
        return past.plot(backend)

    @admin.display(description=gettext_lazy("uptime"))
    @once
    def uptime(self, backend: Backend) -> SafeString | str:
        return past.uptime(backend)

    @admin.display(description=gettext_lazy("latency of probes"))
    @once
    def latency(self, backend: Backend) -> SafeString | str:
        return past.latency(backend)

    @admin.display(description=gettext_lazy("recent events"))
    @once
    def events(self, backend: Backend) -> SafeString | str:
        """The last flips, newest first."""
        return health.events(backend.events.all()[:EVENTS_SHOWN])
