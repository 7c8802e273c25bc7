"""Routing rules, their lists typed one value a line."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest
from django.utils.text import capfirst

from pools.admin import base, lines, teams
from pools.admin.publishing import PublishingAdmin
from pools.models import Route

# The columns that are lists or mappings: how each is typed, and what to say of it.
_LINES: dict[str, tuple[type[lines.LinesField], str]] = {
    "hosts": (
        lines.HostsField,
        "One a line: app.example.com, or *.example.com for all below it. Empty: any host.",
    ),
    "methods": (lines.MethodsField, "One a line, such as GET. Empty: any method."),
    "conditions": (
        lines.ConditionsField,
        "One a line, all must hold: X-Version equals 2, X-Path prefix /v2, "
        "User-Agent contains curl, X-Beta present, X-Old absent.",
    ),
    "upgrades": (
        lines.UpgradesField,
        "Protocols that clients may upgrade a connection to, one a line, such as websocket. "
        "Empty: none.",
    ),
    "request_headers_set": (
        lines.HeaderSetField,
        "One a line, as Name: value. Replaces what the client sent.",
    ),
    "request_headers_remove": (lines.HeaderNamesField, "One name a line."),
    "response_headers_set": (
        lines.HeaderSetField,
        "One a line, as Name: value. Replaces what the backend sent.",
    ),
    "response_headers_remove": (lines.HeaderNamesField, "One name a line."),
}


@admin.register(Route)
class RouteAdmin(teams.Owned, PublishingAdmin[Route]):
    list_display = ("name", "enabled", "on_hosts", "path_prefix", "pool")
    list_filter = ("enabled", ("pool", teams.Related))
    list_select_related = ("pool",)
    search_fields = ("name", "path_prefix", "hosts", "pool__name")
    fieldsets = (
        (None, {"fields": (("name", "enabled"), ("path_prefix", "pool"), "hosts")}),
        ("Conditions", {"classes": base.ASIDE, "fields": ("methods", "conditions")}),
        (
            "Prefix",
            {"classes": base.ASIDE, "fields": (("prefix_mode", "prefix_replacement"),)},
        ),
        (
            "Request headers",
            {
                "classes": base.ASIDE,
                "fields": ("request_headers_set", "request_headers_remove"),
            },
        ),
        (
            "Response headers",
            {
                "classes": base.ASIDE,
                "fields": ("response_headers_set", "response_headers_remove"),
            },
        ),
        (
            "Limits and time-outs",
            {
                "classes": base.ASIDE,
                "fields": (
                    ("max_body_bytes", "connect_timeout_s"),
                    ("response_timeout_s", "exchange_timeout_s"),
                ),
            },
        ),
        (
            "Upgrades",
            {
                "classes": base.ASIDE,
                "description": "WebSockets and the like, by the gateway alone.",
                "fields": (("upgrades", "tunnel_timeout_s"),),
            },
        ),
    )

    class Media:
        css = {"all": ("pools/admin.css",)}

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
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

    @admin.display(description="hosts", ordering="hosts")
    def on_hosts(self, route: Route) -> str:
        return ", ".join(route.hosts) or "any"
