"""Filters of the list of routes."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin.filters import TypedFilter
from pools.admin.matching import HOST_PARAMETER, host_of, of
from pools.models import Route


class HostFilter(TypedFilter):
    """Those that requests to a host may go to, in the order for that host."""

    title = gettext_lazy("host")
    parameter_name = HOST_PARAMETER
    placeholder = "app.example.com"
    everything = gettext_lazy("All hosts")

    def wrong(self, typed: str) -> str:
        if host_of(typed):
            return ""
        said = _("%(host)s is not a host: write app.example.com, without a path.")
        return said % {"host": typed}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Route]) -> QuerySet[Route]:
        typed = self.value()
        if not typed:
            return queryset
        host = host_of(typed)
        if not host:
            return queryset.none()
        return queryset.filter(pk__in=of(request).for_host(host))


class TakenFilter(admin.SimpleListFilter):
    title = gettext_lazy("requests")
    parameter_name = "taken"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("never", _("Never taken")), ("partly", _("Not on every host"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Route]) -> QuerySet[Route]:
        if self.value() not in ("never", "partly"):
            return queryset
        whole = self.value() == "never"
        shadows = of(request).table.shadows.items()
        return queryset.filter(pk__in=[pk for pk, found in shadows if found.whole == whole])
