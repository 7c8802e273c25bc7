"""Filters of the list of routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin.matching import HOST_PARAMETER, host_of, of
from pools.models import Route


class TypedFilter(admin.SimpleListFilter):
    """What is sought is typed, where links to all there is would be thousands."""

    template = "pools/admin/typed_filter.html"
    placeholder = ""
    everything: str | Promise = ""  # what leads back to all

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return []

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        """What the template needs, as one: the value, what is wrong with it, and the other
        parameters."""
        typed = self.value() or ""
        yield {
            "value": typed,
            "selected": not typed,
            "wrong": self.wrong(typed) if typed else "",
            "placeholder": self.placeholder,
            "everything": self.everything,
            "kept": [
                (name, value)
                for name, value in changelist.params.items()
                if name not in (self.parameter_name, PAGE_VAR)
            ],
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
        }

    def wrong(self, typed: str) -> str:
        """What is wrong with what was typed; "": nothing is."""
        return ""


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


class PoolFilter(TypedFilter):
    """By the pool's name, or by how it begins."""

    title = gettext_lazy("pool")
    parameter_name = "pool"
    everything = gettext_lazy("All pools")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Route]) -> QuerySet[Route]:
        name = (self.value() or "").strip()
        if not name:
            return queryset
        found = queryset.filter(pool__name=name)
        return found if found.exists() else queryset.filter(pool__name__istartswith=name)


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
