"""Routing rules, their lists typed one value a line."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Field
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base, filters, lines, matching, route_filters, tags, teams, tester
from pools.admin.publishing import PublishingAdmin
from pools.models import Pool, Route

# The columns that are lists or mappings: how each is typed, and what to say of it.
_LINES: dict[str, tuple[type[lines.LinesField], Any]] = {
    "hosts": (
        lines.HostsField,
        gettext_lazy(
            "One a line: app.example.com, or *.example.com for all below it. Empty: any host."
        ),
    ),
    "methods": (
        lines.MethodsField,
        gettext_lazy("One a line, such as GET. Empty: any method."),
    ),
    "conditions": (
        lines.ConditionsField,
        gettext_lazy(
            "One a line, all must hold: X-Version equals 2, X-Path prefix /v2, "
            "User-Agent contains curl, X-Beta present, X-Old absent."
        ),
    ),
    "upgrades": (
        lines.UpgradesField,
        gettext_lazy(
            "Protocols that clients may upgrade a connection to, one a line, such as "
            "websocket. Empty: none."
        ),
    ),
    "request_headers_set": (
        lines.HeaderSetField,
        gettext_lazy("One a line, as Name: value. Replaces what the client sent."),
    ),
    "request_headers_remove": (lines.HeaderNamesField, gettext_lazy("One name a line.")),
    "response_headers_set": (
        lines.HeaderSetField,
        gettext_lazy("One a line, as Name: value. Replaces what the backend sent."),
    ),
    "response_headers_remove": (lines.HeaderNamesField, gettext_lazy("One name a line.")),
}


@admin.register(Route)
class RouteAdmin(teams.Owned, PublishingAdmin[Route]):
    change_list_template = "pools/admin/route_list.html"
    list_display = ("name", "on_hosts", "path_prefix", "pool")
    list_display_links = ("name",)
    list_filter = (
        "enabled",
        route_filters.TakenFilter,
        route_filters.HostFilter,
        filters.PoolFilter,
        tags.TagFilter,
    )
    list_select_related = ("pool",)
    sought = ("id", "pk", "pool")
    search_fields = ("name", "path_prefix", "hosts", "pool__name")
    readonly_fields = ("place", "matched", "traffic", "test")
    fieldsets = (
        (None, {"fields": (("name", "enabled"), ("path_prefix", "pool"), "hosts", "tags")}),
        (
            gettext_lazy("Conditions"),
            {"classes": base.ASIDE, "fields": ("methods", "conditions")},
        ),
        (
            gettext_lazy("Prefix"),
            {"classes": base.ASIDE, "fields": (("prefix_mode", "prefix_replacement"),)},
        ),
        (
            gettext_lazy("Request headers"),
            {
                "classes": base.ASIDE,
                "fields": ("request_headers_set", "request_headers_remove"),
            },
        ),
        (
            gettext_lazy("Response headers"),
            {
                "classes": base.ASIDE,
                "fields": ("response_headers_set", "response_headers_remove"),
            },
        ),
        (
            gettext_lazy("Limits and time-outs"),
            {
                "classes": base.ASIDE,
                "fields": (
                    ("max_body_bytes", "connect_timeout_s"),
                    ("response_timeout_s", "exchange_timeout_s"),
                ),
            },
        ),
        (
            gettext_lazy("Upgrades"),
            {
                "classes": base.ASIDE,
                "description": gettext_lazy("WebSockets and the like, by the gateway alone."),
                "fields": (("upgrades", "tunnel_timeout_s"),),
            },
        ),
    )

    class Media:
        css = {"all": ("pools/admin.css", "pools/routes.css")}

    def get_urls(self) -> list[URLPattern]:
        bound: Any = self.admin_site.admin_view(partial(tester.view, self))
        test: URLPattern = path("test/", bound, name="pools_route_test")
        return [test, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return matching.InOrder

    def get_list_display(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        own = matching.columns(request)
        place, state, rate = own["place"], own["state"], own["rate"]
        name, hosts, prefix, pool, *rest = super().get_list_display(request)
        return (place, name, hosts, prefix, own["conditions"], pool, state, rate, *rest)

    def get_fieldsets(self, request: HttpRequest, obj: Route | None = None) -> Any:
        first, *rest = super().get_fieldsets(request, obj)
        if obj is None:
            return [first, *rest]
        here = ("place", "matched", "traffic", "test")
        return [first, (_("Matching"), {"fields": (here[:2], here[2:])}), *rest]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Route | None:
        found = super().get_object(request, object_id, from_field)
        if found:
            matching.read_page(request, found)
        return found

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "GET" and not Pool.objects.exists():
            self.message_user(request, _("A route leads to a pool: add the pool first."))
            if self.admin_site.get_model_admin(Pool).has_add_permission(request):
                return redirect("admin:pools_pool_add")
        return super().add_view(request, *args, **kwargs)

    def response_add(
        self, request: HttpRequest, obj: Route, post_url_continue: str | None = None
    ) -> HttpResponse:
        response = super().response_add(request, obj, post_url_continue)
        self._warn(request, obj)
        return response

    def response_change(self, request: HttpRequest, obj: Route) -> HttpResponse:
        response = super().response_change(request, obj)
        self._warn(request, obj)
        return response

    def _warn(self, request: HttpRequest, route: Route) -> None:
        for warning in matching.warnings(request, route):
            self.message_user(request, warning, messages.WARNING)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "tags":
            return tags.field(db_field)
        if db_field.name not in _LINES:
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        kind, help_text = _LINES[db_field.name]
        return kind(
            required=False,
            label=capfirst(db_field.verbose_name),
            help_text=help_text,
            initial=db_field.get_default,
            widget=base.textarea(rows=3),
        )

    @admin.display(description=gettext_lazy("hosts"), ordering="hosts")
    def on_hosts(self, route: Route) -> str:
        return ", ".join(route.hosts) or _("any")

    @admin.display(description=gettext_lazy("place in the order"))
    def place(self, route: Route) -> str:
        return matching.page(route).position(route)

    @admin.display(description=gettext_lazy("gets requests"))
    def matched(self, route: Route) -> SafeString:
        return matching.page(route).state(route)

    @admin.display(description=gettext_lazy("last minute"))
    def traffic(self, route: Route) -> str:
        return matching.page(route).figures(route)

    @admin.display(description=gettext_lazy("test"))
    def test(self, route: Route) -> SafeString:
        link = '<a class="pools-inline" href="{}">{}</a>'
        return format_html(link, tester.link(route), _("Test a request to it"))
