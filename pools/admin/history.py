"""What happened, to read only: flips of health. Revisions are in pools.admin.revisions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from pools.admin import base, health, teams
from pools.core.probing import Verdict
from pools.models import HealthEvent


class Kept:
    """Nobody adds, changes or deletes what is kept."""

    def has_add_permission(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def has_change_permission(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def has_delete_permission(self, *args: Any, **kwargs: Any) -> bool:
        return False


@admin.register(HealthEvent)
class HealthEventAdmin(Kept, teams.Scoped, base.ModelAdmin[HealthEvent]):
    list_display = ("when", "backend", "flip", "reason", "seen_by")
    list_filter = ("new", ("backend__pool", teams.Related))
    list_select_related = ("backend__pool",)
    search_fields = ("backend__host", "backend__pool__name", "reason")
    fields = list_display

    class Media:
        css = {"all": ("pools/admin.css",)}

    @admin.display(description=_("at"), ordering="at")
    def when(self, event: HealthEvent) -> str:
        return health.moment(event.at)

    @admin.display(description=_("health"), ordering="new")
    def flip(self, event: HealthEvent) -> SafeString:
        return format_html(
            '<span class="pools-flip">{} → {}</span>',
            health.badge(Verdict(event.old)),
            health.badge(Verdict(event.new)),
        )
