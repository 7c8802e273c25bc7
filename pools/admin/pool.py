"""Pools, with their backends inline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.db.models import Field, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from pools.admin import address, base, deletion, health, lines, probe, teams, traffic
from pools.admin.publishing import PublishingAdmin
from pools.admin.sentences import listed
from pools.core.document import RetryOn
from pools.models import Backend, Pool
from pools.models.parts import choices

# With more backends than this a pool leads to their list instead. Each takes ten fields
# of the form, and Django takes 1000 (DATA_UPLOAD_MAX_NUMBER_FIELDS).
INLINE_MOST = 50

# Texts, by the lines that they take as a rule.
_ROWS = {
    "probe_text": 2,
    "probe_json_value": 1,
    "probe_send": 2,
    "probe_expect": 1,
    "tls_ca": 6,
}


class BackendFormSet(base.InlineFormSet[Backend, Pool, "forms.ModelForm[Backend]"]):
    """Says at its field when two rows are one backend, however they are spelt.

    Django compares what was typed; here the canonical addresses count.
    """

    def clean(self) -> None:
        seen: set[str] = set()
        for form in self.forms:
            if form in self.deleted_forms or not form.is_valid() or not form.instance.host:
                continue
            address = form.instance.address
            if address in seen:
                form.add_error("host", f"{address} is there twice: keep one.")
            seen.add(address)
        super().clean()


class BackendInline(address.Typed, base.TabularInline[Backend, Pool]):
    model = Backend
    formset = BackendFormSet
    fields = (
        "host",
        "port",
        "scheme",
        "weight",
        "backup",
        "state",
        "max_in_flight",
        "health_now",
    )
    readonly_fields = ("health_now",)
    hide_title = True  # unfold: the address is in the row already

    def get_extra(self, request: HttpRequest, obj: Pool | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backend]:
        return super().get_queryset(request).select_related(*health.WITH)

    @admin.display(description="health")
    def health_now(self, backend: Backend) -> SafeString | str:
        return health.linked(backend) if backend.pk else ""


@admin.register(Pool)
class PoolAdmin(teams.Owned, PublishingAdmin[Pool]):
    change_form_template = "pools/admin/pool_form.html" if base.UNFOLD else None
    list_display = ("name", "policy", "backends_up", "routed")
    list_filter = ("policy",)
    search_fields = ("name", "backends__host")
    inlines = (BackendInline,)
    conditional_fields = probe.CONDITIONS
    readonly_fields = ("in_list", "panic")
    fieldsets = (
        (None, {"fields": (("name", "policy"),)}),
        *probe.FIELDSETS,
        (
            "Time-outs and limits",
            {
                "classes": base.ASIDE,
                "fields": (
                    ("connect_timeout_s", "response_timeout_s"),
                    ("exchange_timeout_s", "tunnel_timeout_s"),
                    ("max_in_flight", "slow_start_s"),
                    ("max_queue", "queue_timeout_s"),
                    ("keepalive_connections", "keepalive_s"),
                ),
            },
        ),
        (
            "Retries",
            {
                "classes": base.ASIDE,
                "fields": ("retry_attempts", "retry_on", "retry_non_idempotent"),
            },
        ),
        (
            "Passive health",
            {
                "classes": base.ASIDE,
                "description": "What requests meet: a backend that fails them again and again "
                "is left out for a while.",
                "fields": (
                    ("passive_failures", "passive_base_ejection_s"),
                    ("passive_max_ejected_percent", "passive_panic_percent"),
                ),
            },
        ),
        (
            "Stickiness",
            {
                "classes": base.ASIDE,
                "fields": (
                    ("sticky_mode", "sticky_cookie"),
                    ("sticky_ttl_s", "sticky_same_site"),
                    ("sticky_secure", "sticky_http_only"),
                    "sticky_while_draining",
                ),
            },
        ),
        ("Host", {"classes": base.ASIDE, "fields": (("host_mode", "host_value"),)}),
        (
            "Upstream TLS",
            {
                "classes": base.ASIDE,
                "description": "For backends with scheme HTTPS, and probes by TLS.",
                "fields": (("tls_verify", "tls_server_name"), "tls_ca"),
            },
        ),
        (
            "Hash",
            {
                "classes": base.ASIDE,
                "description": "For the policy consistent hash.",
                "fields": (("hash_on", "hash_name"), "hash_balance_factor"),
            },
        ),
    )

    class Media:
        css = {"all": ("pools/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pool]:
        pools = super().get_queryset(request).select_related("schedule")
        routes = Prefetch("routes", teams.visible_routes(request.user))
        return pools.prefetch_related("backends__health", routes)

    def get_inlines(
        self, request: HttpRequest, obj: Pool | None
    ) -> tuple[type[InlineModelAdmin[Any, Any]], ...]:
        return (BackendInline,) if self._has_rows(request, obj) else ()

    def get_fieldsets(self, request: HttpRequest, obj: Pool | None = None) -> Any:
        first, *rest = super().get_fieldsets(request, obj)
        if obj and self.panic(obj):
            rest.insert(0, ("Panic", {"fields": ("panic",)}))
        if self._has_rows(request, obj):
            return [first, *rest]
        return [first, ("Backends", {"fields": ("in_list",)}), *rest]

    def _has_rows(self, request: HttpRequest, obj: Pool | None) -> bool:
        """Whether the backends are rows of the form; what came back was told when it left."""
        if request.method == "POST":
            return "backends-TOTAL_FORMS" in request.POST
        return obj is None or len(obj.backends.all()) <= INLINE_MOST

    @admin.display(description="panic")
    def panic(self, pool: Pool) -> SafeString:
        return traffic.Seen().panic(pool)

    @admin.display(description="backends")
    def in_list(self, pool: Pool) -> SafeString:
        return format_html(
            '{} <a class="pools-link" href="{}?pool__id__exact={}">Edit them in their list</a>',
            health.tally(pool.backends.all()),
            reverse("admin:pools_backend_changelist"),
            pool.pk,
        )

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name in _ROWS:
            kwargs["form_class"] = lines.TextField
            kwargs["widget"] = base.textarea(_ROWS[db_field.name])
        if db_field.name == "probe_headers":
            return lines.HeaderSetField(
                required=False,
                label=capfirst(db_field.verbose_name),
                help_text="One a line, as Name: value; sent with HTTP probes.",
                initial=db_field.get_default,
                widget=base.textarea(rows=2),
            )
        if db_field.name == "retry_on":
            return forms.MultipleChoiceField(
                choices=choices(RetryOn),
                widget=base.checkboxes(),
                required=False,
                initial=db_field.get_default,
                label=str(db_field.verbose_name).capitalize(),
                help_text="What may be tried again on another backend.",
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_deleted_objects(
        self, objs: Sequence[Pool] | QuerySet[Pool], request: HttpRequest
    ) -> deletion.Deletion:
        return deletion.of_pools(objs, request, self.admin_site)

    @admin.display(description="backends")
    def backends_up(self, pool: Pool) -> SafeString:
        return health.tally(pool.backends.all())

    @admin.display(description="routing rules")
    def routed(self, pool: Pool) -> SafeString | str:
        routes = list(pool.routes.all())
        if len(routes) > 3:
            return listed(route.name for route in routes)
        return format_html_join(
            ", ",
            '<a href="{}">{}</a>',
            ((reverse("admin:pools_route_change", args=(r.pk,)), r.name) for r in routes),
        ) or format_html('<span class="pools-reason">{}</span>', "none")
