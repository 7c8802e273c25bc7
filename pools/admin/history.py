"""What happened, to read only: flips of health, and revisions with what each changed."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pools.admin import base, health, teams
from pools.control import publish
from pools.control.diff import diff
from pools.core.errors import DocumentError
from pools.core.probing import Verdict
from pools.models import HealthEvent, Revision

CHANGES_SHOWN = 500


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

    @admin.display(description="at", ordering="at")
    def when(self, event: HealthEvent) -> str:
        return health.moment(event.at)

    @admin.display(description="health", ordering="new")
    def flip(self, event: HealthEvent) -> SafeString:
        return format_html(
            '<span class="pools-flip">{} → {}</span>',
            health.badge(Verdict(event.old)),
            health.badge(Verdict(event.new)),
        )


@admin.register(Revision)
class RevisionAdmin(Kept, teams.Scoped, base.ModelAdmin[Revision]):
    list_display = ("number", "when", "who", "why")
    list_filter = ("created_at",)
    search_fields = ("who", "why")
    fields = (*list_display, "changes")
    readonly_fields = ("changes",)

    class Media:
        css = {"all": ("pools/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        # A document may have megabytes, and a page shows a hundred revisions.
        revisions: QuerySet[Revision] = super().get_queryset(request)
        return revisions.defer("document")

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Revision | None:
        found = super().get_object(request, object_id, from_field)
        if found:
            found.reader = request.user  # for `changes`
            if not teams.sees_all(request.user):
                found.why = ""
        return found

    def get_list_display(self, request: HttpRequest) -> Any:
        """`why` names what was changed: of others' things it says nothing."""
        if teams.sees_all(request.user):
            return self.list_display
        return ("number", "when", "who")

    @admin.display(description="created at", ordering="created_at")
    def when(self, revision: Revision) -> str:
        return health.moment(revision.created_at)

    @admin.display(description="changes")
    def changes(self, revision: Revision) -> SafeString | str:
        """What is different from the revision before, one line each."""
        found = vars(revision)
        if "changes" not in found:  # a page asks several times, and documents may be large
            found["changes"] = _changes(revision, getattr(revision, "reader", None))
        return cast("SafeString | str", found["changes"])


_KINDS = {"+": "added", "-": "removed", "~": "edited"}


def _changes(revision: Revision, reader: Any) -> SafeString | str:
    earlier = Revision.objects.filter(number__lt=revision.number)
    before = earlier.values_list("number", flat=True).first() or 0
    if not before and revision.number > 1:
        return "cannot be compared: the revision before it is no longer kept"
    try:
        found = diff(publish.published(before), publish.published(revision.number))
    except DocumentError:
        return "cannot be compared: written by another version of the program"
    if reader is not None:
        found = teams.own_changes(reader, revision.number, found)
    lines = format_html_join(
        "",
        '<li class="pools-change-{}">{}</li>',
        ((_KINDS[change.kind], str(change)) for change in found[:CHANGES_SHOWN]),
    )
    more = len(found) - CHANGES_SHOWN
    rest = format_html("<li>and {} more</li>", more) if more > 0 else ""
    return format_html('<ul class="pools-changes">{}{}</ul>', lines, rest)
