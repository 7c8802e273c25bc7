"""Pools, with their backends inline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.admin.utils import quote
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import (
    address,
    base,
    cells,
    deletion,
    glance,
    health,
    lines,
    plots,
    probe,
    rebasing,
    staging,
    tags,
    teams,
    traffic,
)
from pools.admin.dashboard.pages import Pages
from pools.admin.once import once
from pools.admin.pool_list import PoolList
from pools.core.document import RetryOn
from pools.models import Backend, HealthEvent, Pool
from pools.models.parts import choices

# With more backends than this a pool leads to their list instead. Each takes ten fields
# of the form, and Django takes 1000 (DATA_UPLOAD_MAX_NUMBER_FIELDS).
INLINE_MOST = 50
EVENTS_SHOWN = 10

# Texts, by the lines that they take as a rule.
_ROWS = {
    "probe_text": 2,
    "probe_json_value": 1,
    "probe_send": 2,
    "probe_expect": 1,
    "tls_ca": 6,
}


class BackendFormSet(staging.DraftedFormSet[Backend, Pool, "forms.ModelForm[Backend]"]):
    """Says at its field when two rows are one backend, however they are spelt.

    Django compares what was typed; here the canonical addresses count.
    """

    def total_form_count(self) -> int:
        """Of rows that are claimed those that were sent: each takes milliseconds to show."""
        claimed = super().total_form_count()
        return min(claimed, self._sent) if self.is_bound else claimed

    @cached_property
    def _sent(self) -> int:
        return rebasing.sent(self.data, str(self.prefix))

    def clean(self) -> None:
        seen: set[str] = set()
        for form in self.forms:
            if form in self.deleted_forms or not form.is_valid() or not form.instance.host:
                continue
            address = form.instance.address
            if address in seen:
                said = _("%(address)s is there twice: keep one.") % {"address": address}
                form.add_error("host", said)
            seen.add(address)
        super().clean()


class BackendInline(address.Typed, staging.DraftedInline, base.TabularInline[Backend, Pool]):
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

    @admin.display(description=gettext_lazy("health"))
    def health_now(self, backend: Backend) -> SafeString | str:
        return health.linked(backend) if backend.pk else ""


@admin.register(Pool)
class PoolAdmin(Pages, teams.Owned, PoolList):
    change_form_template = f"pools/admin/pool_{'form' if base.UNFOLD else 'plain'}.html"
    inlines = (BackendInline,)
    conditional_fields = probe.CONDITIONS
    readonly_fields = ("in_list", "panic", "carried", "events")
    fieldsets = (
        (None, {"fields": (("name", "policy"), "tags")}),
        *probe.FIELDSETS,
        (
            gettext_lazy("Time-outs and limits"),
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
            gettext_lazy("Retries"),
            {
                "classes": base.ASIDE,
                "fields": ("retry_attempts", "retry_on", "retry_non_idempotent"),
            },
        ),
        (
            gettext_lazy("Passive health"),
            {
                "classes": base.ASIDE,
                "description": gettext_lazy(
                    "What requests meet: a backend that fails them again and again is left out "
                    "for a while."
                ),
                "fields": (
                    ("passive_failures", "passive_base_ejection_s"),
                    ("passive_max_ejected_percent", "passive_panic_percent"),
                ),
            },
        ),
        (
            gettext_lazy("Stickiness"),
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
        (
            gettext_lazy("Host"),
            {"classes": base.ASIDE, "fields": (("host_mode", "host_value"),)},
        ),
        (
            gettext_lazy("Upstream TLS"),
            {
                "classes": base.ASIDE,
                "description": gettext_lazy(
                    "For backends with scheme HTTPS, and probes by TLS."
                ),
                "fields": (("tls_verify", "tls_server_name"), "tls_ca"),
            },
        ),
        (
            gettext_lazy("Hash"),
            {
                "classes": base.ASIDE,
                "description": gettext_lazy("For the policy consistent hash."),
                "fields": (("hash_on", "hash_name"), "hash_balance_factor"),
            },
        ),
    )

    class Media:
        css = {"all": ("pools/admin.css", "pools/lists.css", "pools/live.css", *plots.CSS)}
        js = ("pools/live.js", "pools/lists.js", *plots.JS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pool]:
        return super().get_queryset(request).select_related("schedule")

    def get_inlines(
        self, request: HttpRequest, obj: Pool | None
    ) -> tuple[type[InlineModelAdmin[Any, Any]], ...]:
        return (BackendInline,) if self._has_rows(request, obj) else ()

    def get_fieldsets(self, request: HttpRequest, obj: Pool | None = None) -> Any:
        first, *rest = super().get_fieldsets(request, obj)
        if obj:
            what: Any = {"classes": ("pools-after",), "fields": ("carried", "events")}
            rest.append((gettext_lazy("Traffic and events"), what))
        if obj and self.panic(obj):
            rest.insert(0, (_("Panic"), {"fields": ("panic",)}))
        if self._has_rows(request, obj):
            return [first, *rest]
        return [first, (_("Backends"), {"fields": ("in_list",)}), *rest]

    def _has_rows(self, request: HttpRequest, obj: Pool | None) -> bool:
        """Whether the backends are rows of the form; what came back was told when it left."""
        if request.method == "POST":
            return "backends-TOTAL_FORMS" in request.POST
        return obj is None or obj.backends(manager="drafted").count() <= INLINE_MOST

    @admin.display(description=gettext_lazy("panic"))
    def panic(self, pool: Pool) -> SafeString:
        return traffic.Seen().panic(pool)

    @admin.display(description=gettext_lazy("backends"))
    def in_list(self, pool: Pool) -> SafeString:
        return format_html(
            '{} <a class="pools-link" href="{}?pool__id__exact={}">{}</a>',
            health.tallied(glance.of_pool(pool).tally),
            reverse("admin:pools_backend_changelist"),
            pool.pk,
            _("Edit them in their list"),
        )

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "tags":
            return tags.field(db_field)
        if db_field.name in _ROWS:
            kwargs["form_class"] = lines.TextField
            kwargs["widget"] = base.textarea(_ROWS[db_field.name])
        if db_field.name == "probe_headers":
            return lines.HeaderSetField(
                required=False,
                label=capfirst(db_field.verbose_name),
                help_text=_("One a line, as Name: value; sent with HTTP probes."),
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
                help_text=_("What may be tried again on another backend."),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_deleted_objects(
        self, objs: Sequence[Pool] | QuerySet[Pool], request: HttpRequest
    ) -> deletion.Deletion:
        return deletion.of_pools(objs, request, self.admin_site)

    # --- the page of one -----------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        own = {"links": self._links(request, object_id)}
        return super().changeform_view(
            request, object_id, form_url, {**own, **(extra_context or {})}
        )

    def _links(self, request: HttpRequest, object_id: str | None) -> list[dict[str, str]]:
        found = []
        if object_id:
            page = reverse("admin:pools_backend_changelist")
            url = f"{page}?pool__id__exact={quote(object_id)}"
            found.append({"url": url, "title": _("Its backends, with figures")})
        if self.may_paste(request):
            if object_id:
                url = reverse("admin:pools_pool_paste_into", args=(object_id,))
                found.append({"url": url, "title": _("Paste backends")})
            else:
                url = reverse("admin:pools_pool_paste")
                found.append({"url": url, "title": _("Paste a list of backends instead")})
        return found

    @admin.display(description=gettext_lazy("carried"))
    @once
    def carried(self, pool: Pool) -> SafeString:
        rates = glance.of_pool(pool).rates
        return format_html(
            "{}{}",
            cells.line(rates),
            plots.drawn(reverse("admin:pools_figures"), pool=pool.name),
        )

    @admin.display(description=gettext_lazy("recent events"))
    @once
    def events(self, pool: Pool) -> SafeString | str:
        """The last flips of its backends, newest first."""
        found = HealthEvent.objects.filter(backend__pool=pool).select_related("backend__pool")
        return health.events(found[:EVENTS_SHOWN], named=True)
