"""Teams in the console: pages show, offer and change what the user may see, and no more.

What is another team's is as if it were not there, at its own address too. A new pool or rule
gets the team of who adds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.filters import RelatedFieldListFilter
from django.db.models import Count, Field, ForeignKey, ManyToManyField, Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from pools.admin import base
from pools.control import audit, teams
from pools.control.teams import (
    own_changes,
    own_pending,
    sees_all,
    visible,
    visible_pools,
    visible_routes,
)
from pools.models import Pool, Route, Team

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Any]
else:
    _Base = object

__all__ = [
    "Owned",
    "Related",
    "Scoped",
    "own_changes",
    "own_pending",
    "sees_all",
    "visible",
    "visible_pools",
    "visible_routes",
]


class Scoped(_Base):
    """For an admin of what is seen with a pool: its rows, and those that its forms offer."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(super().get_queryset(request), request.user)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        _limit(db_field, request, kwargs)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelMultipleChoiceField[Any] | None:
        _limit(db_field, request, kwargs)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


def _limit(db_field: Field[Any, Any], request: HttpRequest, kwargs: dict[str, Any]) -> None:
    model = cast("type[Model]", db_field.related_model)
    if not teams.ruled(model) or sees_all(request.user):
        return
    rows: Any = kwargs.get("queryset", getattr(model, "drafted", model._default_manager).all())
    kwargs["queryset"] = visible(rows, request.user)


class Owned(Scoped):
    """For the admin of what is given to teams; it says nothing of them while there is none."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = list(super().get_fieldsets(request, obj))
        if self._chooses(request):
            name, options = found[0]
            found[0] = (name, {**options, "fields": (*options["fields"], "team")})
        return found

    def get_list_filter(self, request: HttpRequest) -> Any:
        found = super().get_list_filter(request)
        return (*found, ("team", Related)) if self._chooses(request) else found

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        """Who does not see all gives what is theirs to one of their teams."""
        own = teams.teams(request.user)
        if db_field.name == "team" and own is not None:
            kwargs["queryset"] = Team.objects.filter(pk__in=own)
            kwargs["required"] = True
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: Pool | Route, form: forms.ModelForm[Any], change: bool
    ) -> None:
        own = teams.teams(request.user)
        if not change and own and obj.team_id is None:
            (obj.team_id,) = own
        if change and "team" in form.changed_data:
            before = form.initial.get("team")
            old = Team.objects.filter(pk=before).first() if before else None
            told = audit.Changed(field="team", old=_name(old), new=_name(obj.team))
            kind = obj._meta.model_name or ""
            audit.record("changed", kind=kind, name=obj.name, changes=[told], team=obj.team_id)
        super().save_model(request, obj, form, change)

    def _chooses(self, request: HttpRequest) -> bool:
        """Whether there is more than one team, or none, that this user could give it to."""
        own = teams.teams(request.user)
        return Team.objects.exists() if own is None else len(own) > 1


def _name(team: Team | None) -> str | None:
    return team.group.name if team else None


class Related(RelatedFieldListFilter):
    """A filter that offers what the user may see."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = field.get_choices(
            include_blank=False,
            ordering=self.field_admin_ordering(field, request, model_admin),
            limit_choices_to=_offered(field.related_model, request),
        )
        return found


def _offered(model: type[Model], request: HttpRequest) -> Any:
    own = teams.teams(request.user)
    if model is Team:
        return {} if own is None else {"pk__in": own}
    return teams.limit(model, request.user)


@admin.register(Team)
class TeamAdmin(base.ModelAdmin[Team]):
    list_display = ("group", "members", "pools", "routes")
    list_select_related = ("group",)
    search_fields = ("group__name",)
    fields = ("group",)

    def get_readonly_fields(self, request: HttpRequest, obj: Team | None = None) -> Any:
        # What belongs to a team would go to another with the group.
        return ("group",) if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        rows = super().get_queryset(request).prefetch_related("group__user_set")
        return rows.annotate(
            pool_count=Count("pools", distinct=True), route_count=Count("routes", distinct=True)
        )

    def save_model(
        self, request: HttpRequest, obj: Team, form: forms.ModelForm[Team], change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            audit.record("added", kind="team", name=str(obj))

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        audit.record("removed", kind="team", name=str(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Team]) -> None:
        for team in queryset:
            audit.record("removed", kind="team", name=str(team))
        super().delete_queryset(request, queryset)

    @admin.display(description=_("members"))
    def members(self, team: Team) -> str:
        return ", ".join(user.get_username() for user in team.group.user_set.all()) or "–"

    @admin.display(description=_("pools"))
    def pools(self, team: Team) -> int:
        return cast("int", team.pool_count)  # type: ignore[attr-defined]

    @admin.display(description=_("routing rules"))
    def routes(self, team: Team) -> int:
        return cast("int", team.route_count)  # type: ignore[attr-defined]
