"""Backends of all pools, as a page of statistics with the operator's switches."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pools.admin import address, deletion, health, operating, past, sentences, teams, traffic
from pools.admin.publishing import PublishingAdmin
from pools.core.document import AdminState
from pools.core.probing import Verdict
from pools.models import Backend
from pools.models.parts import choices

EVENTS_SHOWN = 20


class HealthFilter(admin.SimpleListFilter):
    """By the verdict as it is shown: stale ones are unknown."""

    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return choices(Verdict)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Backend]) -> QuerySet[Backend]:
        if not self.value():
            return queryset
        rows = Backend.objects.select_related(*health.WITH).order_by()
        return queryset.filter(
            pk__in=[row.pk for row in rows if health.read(row).verdict == self.value()]
        )


@admin.register(Backend)
class BackendAdmin(address.Typed, operating.Operated, teams.Scoped, PublishingAdmin[Backend]):
    list_display = (
        "address",
        "pool",
        "admin_state",
        "health_now",
        "since",
        "weight",
        "is_backup",
    )
    list_filter = (HealthFilter, "state", ("pool", teams.Related), "backup", "scheme")
    list_select_related = health.WITH
    search_fields = ("host", "pool__name")
    ordering = ("pool__name", "host", "port")
    actions = ("make_ready", "drain", "maintain")
    readonly_fields = ("health_now", "in_processes", "uptime", "latency", "events")
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
        ("Health", {"fields": ("health_now", "in_processes", "uptime", "latency", "events")}),
    )

    class Media:
        css = {"all": ("pools/admin.css",)}

    def get_fieldsets(self, request: HttpRequest, obj: Backend | None = None):  # type: ignore[no-untyped-def]
        found = super().get_fieldsets(request, obj)
        return found if obj else found[:1]

    def get_list_display(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        return (*super().get_list_display(request), traffic.column())

    def get_deleted_objects(
        self, objs: Sequence[Backend] | QuerySet[Backend], request: HttpRequest
    ) -> deletion.Deletion:
        return deletion.of_backends(objs, request, self.admin_site)

    @admin.action(description="Ready: take requests", permissions=["operate"])
    def make_ready(self, request: HttpRequest, queryset: QuerySet[Backend]) -> None:
        self._move(request, queryset, AdminState.READY)

    @admin.action(description="Drain: no new requests", permissions=["operate"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Backend]) -> None:
        self._move(request, queryset, AdminState.DRAIN)

    @admin.action(description="Maintenance: no requests, no probes", permissions=["operate"])
    def maintain(self, request: HttpRequest, queryset: QuerySet[Backend]) -> None:
        self._move(request, queryset, AdminState.MAINT)

    def _move(
        self, request: HttpRequest, queryset: QuerySet[Backend], state: AdminState
    ) -> None:
        backends = [row for row in queryset.select_related("pool") if row.state != state]
        if not backends:
            self.message_user(
                request, f"Nothing to do: their state is {state} already.", messages.INFO
            )
            return
        why = sentences.moved(backends, state)
        with self.publishing(request, why):
            for backend in backends:
                backend.state = state.value
                backend.save(update_fields=["state"])
                self.log_change(request, backend, why)
        self.message_user(request, f"{why}.", messages.SUCCESS)

    @admin.display(description="backend", ordering="host")
    def address(self, backend: Backend) -> str:
        return backend.address

    @admin.display(description="state", ordering="state")
    def admin_state(self, backend: Backend) -> SafeString:
        return health.state_badge(backend)

    @admin.display(description="health")
    def health_now(self, backend: Backend) -> SafeString:
        return health.shown(backend)

    @admin.display(description="since")
    def since(self, backend: Backend) -> str:
        return health.since(backend)

    @admin.display(description="backup", ordering="backup")
    def is_backup(self, backend: Backend) -> str:
        return "backup" if backend.backup else ""

    @admin.display(description="in processes")
    def in_processes(self, backend: Backend) -> SafeString:
        return traffic.Seen().of(backend) or format_html("{}", "as usual")

    @admin.display(description="uptime")
    def uptime(self, backend: Backend) -> SafeString:
        return past.uptime(backend)

    @admin.display(description="latency of probes")
    def latency(self, backend: Backend) -> SafeString | str:
        return past.latency(backend)

    @admin.display(description="recent events")
    def events(self, backend: Backend) -> SafeString | str:
        """The last flips, newest first."""
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{} → {}</td><td>{}</td></tr>",
            (
                (
                    health.moment(event.at),
                    health.badge(Verdict(event.old)),
                    health.badge(Verdict(event.new)),
                    event.reason,
                )
                for event in backend.events.all()[:EVENTS_SHOWN]
            ),
        )
        return (
            format_html('<table class="pools-table">{}</table>', rows) if rows else "none yet"
        )
