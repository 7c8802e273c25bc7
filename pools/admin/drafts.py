"""The draft, for review: who edited what; published, or thrown away; and the mode switched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.admin import base, changes, comment, followers, staging
from pools.admin.changes import Line
from pools.admin.history import Kept
from pools.control import drafts, publish
from pools.core.errors import DocumentError
from pools.models import Draft, Pool
from pools.models.draft import DraftKind
from pools.models.parts import PartModel

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHOWN = 200  # objects on the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One object's change. `may`: this user may publish it or throw it away."""

    draft: Draft
    title: str
    url: str
    badge: SafeString
    lines: list[Line]
    may: bool


@admin.register(Draft)
class DraftAdmin(Kept, base.ModelAdmin[Draft]):
    class Media:
        css = {"all": ("pools/admin.css", "pools/revisions.css")}
        js = ("pools/followers.js",)

    def has_view_permission(self, request: HttpRequest, obj: Draft | None = None) -> bool:
        """Who may see configuration may see what is to become of it."""
        return super().has_view_permission(request, obj) or any(
            rows and rows.has_view_permission(request)
            for rows in map(self._admin_of, drafts.MODELS)
        )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_publish_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pools.publish_draft")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pools.switch_staged")

    def get_urls(self) -> list[URLPattern]:
        def button(name: str, view: Any) -> URLPattern:
            bound: Any = self.admin_site.admin_view(view)
            found: URLPattern = path(f"{name}/", bound, name=f"pools_draft_{name}")
            return found

        own = [
            button("publish", self.publish_view),
            button("discard", self.discard_view),
            button("mode", self.mode_view),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self._visible(request)
        own = self._own(request, found)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Draft"),
            "media": self.media,
            "staged": staging.staged(request),
            "count": len(found),
            "elsewhere": staging.waiting(request) - len(found),
            "shown": _shown(found[:SHOWN], own),
            "more": max(0, len(found) - SHOWN),
            "own": len(own),
            "foreign": len(found) - len(own),
            "seen": _digest(own),
            "switches": self.has_switch_permission(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "pools/admin/drafts.html", context)

    def publish_view(self, request: HttpRequest) -> HttpResponse:
        """Put into force what this user has seen and may change."""
        own = self._pressed(request)
        if isinstance(own, HttpResponse):
            return own
        user = cast("User", request.user)
        try:
            outcome = drafts.publish_draft(
                own, who=user.get_username(), user=user, comment=comment.of(request)
            )
        except (DocumentError, OperationalError) as error:
            return self._refused(request, error)
        if outcome.revision is None:
            said: Any = _("Nothing in it is different: no new revision.")
        else:
            done = _("The draft is published.")
            said = format_html("{} {}", done, followers.said(outcome.revision.number, new=True))
        self.message_user(request, said, messages.SUCCESS)
        return redirect(self._page)

    def discard_view(self, request: HttpRequest) -> HttpResponse:
        """Throw away one object's change ("one"), or all that this user may."""
        own = self._pressed(request)
        if isinstance(own, HttpResponse):
            return own
        if one := request.POST.get("one"):
            own = [each for each in own if str(each.pk) == one]
        try:
            drafts.discard(own)
        except (DocumentError, OperationalError) as error:
            return self._refused(request, error)
        said = ngettext(
            "%(number)d change was thrown away.",
            "%(number)d changes were thrown away.",
            len(own),
        )
        self.message_user(request, said % {"number": len(own)}, messages.SUCCESS)
        return redirect(self._page)

    def mode_view(self, request: HttpRequest) -> HttpResponse:
        """Switch staged mode on or off."""
        if not self.has_switch_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        on = request.POST.get("staged") == "on"
        try:
            drafts.switch(on=on)
        except drafts.SwitchError:
            said = _(
                "Staged mode stays on, as a draft waits: publish it or throw it away first."
            )
            self.message_user(request, said, messages.ERROR)
            return redirect(self._page)
        told = (
            _("Staged mode is on: edits gather as a draft.")
            if on
            else _("Staged mode is off: each save is in force at once.")
        )
        self.message_user(request, told, messages.SUCCESS)
        return redirect(self._page)

    # What they share

    @property
    def _page(self) -> str:
        return reverse("admin:pools_draft_changelist")

    def _pressed(self, request: HttpRequest) -> list[Draft] | HttpResponse:
        """The changes that a button is about: those that this user saw and may change."""
        if not self.has_publish_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        own = self._own(request, self._visible(request))
        if request.POST.get("seen") != _digest(own):
            said = _("The draft, or what is in force, was changed meanwhile: look at it again.")
            self.message_user(request, said, messages.WARNING)
            return redirect(self._page)
        return own

    def _visible(self, request: HttpRequest) -> list[Draft]:
        """Those of objects that this user may see."""
        found = list(drafts.waiting())
        seen: dict[type[PartModel], set[int]] = {model: set() for model in drafts.MODELS}
        for model in drafts.MODELS:
            rows = self._admin_of(model)
            if rows and rows.has_view_permission(request):
                theirs = rows.get_queryset(request).order_by().exclude(draft=None)
                seen[model] = set(theirs.values_list("pk", flat=True))
        return [each for each in found if each.target.pk in seen[type(each.target)]]

    def _own(self, request: HttpRequest, found: Iterable[Draft]) -> list[Draft]:
        """Those that this user may publish or throw away."""
        if not self.has_publish_permission(request):
            return []
        return [each for each in found if self._may(request, each)]

    def _may(self, request: HttpRequest, draft: Draft) -> bool:
        rows = self._admin_of(type(draft.target))
        return rows is not None and bool(
            {
                DraftKind.NEW: lambda: rows.has_add_permission(request),
                DraftKind.EDITED: lambda: rows.has_change_permission(request, draft.target),
                DraftKind.REMOVED: lambda: rows.has_delete_permission(request, draft.target),
            }[draft.kind]()
        )

    def _admin_of(self, model: Any) -> admin.ModelAdmin[Any] | None:
        return self.admin_site._registry.get(model)

    def _refused(self, request: HttpRequest, error: Exception) -> HttpResponse:
        problems = error.problems if isinstance(error, DocumentError) else [error]
        for problem in problems:
            said = _("Nothing was changed: %(problem)s") % {"problem": problem}
            self.message_user(request, said, messages.ERROR)
        return redirect(self._page)


def _shown(found: Iterable[Draft], own: Iterable[Draft]) -> list[Shown]:
    names = dict(Pool.drafted.values_list("pk", "name"))
    may = {each.pk for each in own}
    shown = []
    for draft in found:
        row = draft.target
        if draft.kind is DraftKind.NEW:
            lines = changes.of_row(row, names)
        else:
            lines = [changes.line(type(row), *each, names) for each in draft.differences()]
        shown.append(
            Shown(
                draft=draft,
                title=f"{row._meta.verbose_name} {row}",
                url=reverse(f"admin:pools_{row._meta.model_name}_change", args=(row.pk,)),
                badge=staging.badge(draft.kind),
                lines=lines,
                may=draft.pk in may,
            )
        )
    return shown


def _digest(own: Iterable[Draft]) -> str:
    """What was seen: these changes, and the revision that they were seen against."""
    told = [publish.revision(), *((each.pk, each.at.isoformat()) for each in own)]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]
