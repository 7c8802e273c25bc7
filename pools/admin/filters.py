"""Filters of the lists: by what is shown, found by the database, and by names as people type
them where links to all of them would be thousands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.control import clock, processes, reports, sought
from pools.control.processes import TRAFFIC
from pools.core.document import AdminState
from pools.core.probing import Verdict
from pools.models import Alert, Backend, Pool
from pools.models.parts import choices

NAMES_OFFERED = 1000


class HealthFilter(admin.SimpleListFilter):
    """Of backends by the verdict as it is shown: stale ones are unknown."""

    title = gettext_lazy("health")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return choices(Verdict)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Backend]) -> QuerySet[Backend]:
        if not self.value():
            return queryset
        found = queryset.annotate(sought_verdict=sought.verdict(clock.now()))
        return found.filter(sought_verdict=self.value())


class TroubleFilter(admin.SimpleListFilter):
    """Of backends by what keeps requests from them, though they are meant to take some."""

    title = gettext_lazy("trouble")
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [
            ("any", _("Any: down or ejected")),
            ("ejected", _("Ejected")),
            ("turning", _("Between up and down")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Backend]) -> QuerySet[Backend]:
        match self.value():
            case "ejected":
                return queryset.filter(pk__in=ejected())
            case "turning":
                return queryset.filter(health__next_at__isnull=False)
            case "any":
                found = queryset.annotate(sought_verdict=sought.verdict(clock.now()))
                down = Q(sought_verdict=Verdict.DOWN, state=AdminState.READY)
                return found.filter(down | Q(pk__in=ejected()))
        return queryset


class PoolHealthFilter(admin.SimpleListFilter):
    """Of pools by their backends."""

    title = gettext_lazy("health")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [
            ("some", _("Some down")),
            ("none", _("None up")),
            ("empty", _("No backends")),
            ("alert", _("With an open alert")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Pool]) -> QuerySet[Pool]:
        if self.value() == "alert":
            alerts = Alert.objects.filter(ended_at=None, pool=OuterRef("name"))
            return queryset.filter(Exists(alerts))
        if self.value() not in ("some", "none", "empty"):
            return queryset
        backends = Backend.objects.filter(pool=OuterRef("pk")).order_by()
        if self.value() == "empty":
            return queryset.filter(~Exists(backends))
        shown = backends.annotate(sought_verdict=sought.verdict(clock.now()))
        if self.value() == "some":
            return queryset.filter(Exists(shown.filter(sought_verdict=Verdict.DOWN)))
        return queryset.filter(
            Exists(backends), ~Exists(shown.filter(sought_verdict=Verdict.UP))
        )


class TypedFilter(admin.SimpleListFilter):
    """What is sought is typed, where links to all there is would be thousands."""

    template = "pools/admin/typed_filter.html"
    parameter_name: str
    placeholder: str | Promise = ""
    everything: str | Promise = ""  # what leads back to all

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What the field offers, by value."""
        return []

    def has_output(self) -> bool:
        return True

    def get_facet_counts(self, pk_attname: str, filtered_qs: QuerySet[Any]) -> dict[str, Any]:
        """None: of a thousand names each would be counted."""
        return {}

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """The form's parts, as one: what was typed and what is wrong with it, what is offered,
        and what else the list is filtered by."""
        typed = self.value() or ""
        yield {
            "value": typed,
            "selected": not typed,
            "wrong": self.wrong(typed) if typed else "",
            "placeholder": self.placeholder,
            "everything": self.everything,
            "offered": [str(value) for value, _label in self.lookup_choices],
            "kept": [
                (name, value)
                for name, values in changelist.filter_params.items()
                if name not in (self.parameter_name, PAGE_VAR)
                for value in values
            ],
            "query_string": changelist.get_query_string(remove=[self.parameter_name, PAGE_VAR]),
        }

    def wrong(self, typed: str) -> str:
        """What is wrong with what was typed; "": nothing is."""
        return ""


class PoolFilter(TypedFilter):
    """By a pool's name, or the beginning of it, as it is typed."""

    title = gettext_lazy("pool")
    parameter_name = "pool"
    placeholder = gettext_lazy("A name, or how it begins")
    everything = gettext_lazy("All pools")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The names that the field offers."""
        site = model_admin.admin_site
        pools = site.get_model_admin(Pool).get_queryset(request)
        names = pools.order_by("name").values_list("name", flat=True)[:NAMES_OFFERED]
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The pool of this name, or where there is none, those that begin with it."""
        name = (self.value() or "").strip()
        if not name:
            return queryset
        exactly = queryset.filter(pool__name=name)
        if exactly.exists():
            return exactly
        return queryset.filter(pool__name__istartswith=name)


def ejected() -> list[int]:
    """The ids of the backends that some process leaves out now."""
    told = reports.ejections(processes.living(*TRAFFIC))
    if not told:
        return []
    now = clock.now()
    keys = {key for key, by in told.items() if any(one.until > now for one in by)}
    rows = Backend.objects.filter(pool__name__in={key.partition("/")[0] for key in keys})
    rows = rows.select_related("pool").only("host", "port", "pool__name").order_by()
    return [row.pk for row in rows if row.key in keys]
