"""The audit log, to read: who did what, from where, with old and new values."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pools.admin import base, health, teams
from pools.admin.history import Kept
from pools.control.audit import ACTIONS, KINDS
from pools.models import AuditEntry

# Of an entry in the list; its page has all.
_SHOWN = 3
_LONGEST = 80


class _Known(admin.SimpleListFilter):
    """By a column whose values are known: asking a long log for them takes its whole length."""

    known: tuple[str, ...]

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(value, _(value).capitalize()) for value in self.known]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry]
    ) -> QuerySet[AuditEntry]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class ActionFilter(_Known):
    title = gettext_lazy("action")
    parameter_name = "action"
    known = ACTIONS


class KindFilter(_Known):
    title = gettext_lazy("kind")
    parameter_name = "kind"
    known = KINDS


@admin.register(AuditEntry)
class AuditEntryAdmin(Kept, teams.Scoped, base.ModelAdmin[AuditEntry]):
    list_display = ("when", "by", "address", "did", "what", "told", "in_revision")
    list_display_links = ("when",)
    list_filter = (ActionFilter, KindFilter, ("at", admin.DateFieldListFilter))
    search_fields = ("who", "name", "address", "action")
    search_help_text = gettext_lazy("Name of a user or an object, an address, or an action")
    list_per_page = 50
    show_full_result_count = False
    fields = ("when", "by", "address", "did", "what", "changed", "in_revision")

    class Media:
        css = {"all": ("pools/admin.css", "pools/audit.css")}

    @admin.display(description=gettext_lazy("at"), ordering="at")
    def when(self, entry: AuditEntry) -> SafeString:
        return format_html('<span class="pools-moment">{}</span>', health.moment(entry.at))

    @admin.display(description=gettext_lazy("who"), ordering="who")
    def by(self, entry: AuditEntry) -> str:
        return entry.who or _("nobody who is known")

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def did(self, entry: AuditEntry) -> str:
        return _(entry.action) if entry.action else ""

    @admin.display(description=gettext_lazy("object"), ordering="name")
    def what(self, entry: AuditEntry) -> str:
        kind = _(entry.kind) if entry.kind else ""
        return f"{kind} {entry.name}".strip()

    @admin.display(description=gettext_lazy("changes"))
    def told(self, entry: AuditEntry) -> SafeString | str:
        told = _told(entry)
        rest = len(told) - _SHOWN
        more = (
            format_html('<div class="pools-reason">{}</div>', _more(rest)) if rest > 0 else ""
        )
        return _changes(told[:_SHOWN], more, longest=_LONGEST)

    @admin.display(description=gettext_lazy("changes"))
    def changed(self, entry: AuditEntry) -> SafeString | str:
        return _changes(_told(entry)) or _("none")

    @admin.display(description=gettext_lazy("revision"), ordering="revision")
    def in_revision(self, entry: AuditEntry) -> SafeString | str:
        if entry.revision is None:
            return ""
        page = reverse(f"{self.admin_site.name}:pools_revision_changelist")
        return format_html(
            '<a class="pools-link" href="{}?number={}">{}</a>',
            page,
            entry.revision,
            entry.revision,
        )


def _told(entry: AuditEntry) -> list[dict[str, Any]]:
    """Without fields that were nothing and are nothing, as of a new object."""
    empty = ("", None)
    return [one for one in entry.changes if one["old"] not in empty or one["new"] not in empty]


def _changes(
    changes: list[dict[str, Any]], more: str = "", *, longest: int | None = None
) -> SafeString | str:
    """One line each; values cut to `longest` characters."""
    if not changes:
        return ""
    lines = format_html_join(
        "",
        "<div><span>{}</span> <del>{}</del> → <ins>{}</ins></div>",
        (
            (_(each["field"]), *(_value(each[side], longest) for side in ("old", "new")))
            for each in changes
        ),
    )
    return format_html('<div class="pools-audited">{}{}</div>', lines, more)


def _value(value: Any, longest: int | None) -> str:
    """As people read it: texts bare, nothing as a dash."""
    if value is None or value == "":
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if longest is None else Truncator(text).chars(longest)


def _more(count: int) -> str:
    return ngettext("and %(count)d more", "and %(count)d more", count) % {"count": count}
