"""Revisions: what each changed, any two compared, and an earlier one restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base, changes, comment, followers, health, staging, teams
from pools.admin.history import Kept
from pools.control import publish, restore
from pools.control.diff import diff_plain
from pools.control.restore import RestoreError
from pools.core.errors import DocumentError
from pools.models import Revision

if TYPE_CHECKING:
    from django.contrib.auth.models import User

OFFERED = 100  # revisions to compare with


@admin.register(Revision)
class RevisionAdmin(Kept, teams.Scoped, base.ModelAdmin[Revision]):
    """Who sees the things of some teams alone sees what became of those, and not why: that
    names what else was changed."""

    change_form_template = "pools/admin/revision.html"
    list_display = ("number", "when", "who", "done", "changed")
    list_filter = ("created_at",)
    sought = ("number",)
    search_fields = ("who", "why", "comment")
    fields = ("number", "when", "who", "why", "comment", "processes")
    readonly_fields = ("processes",)

    class Media:
        css = {"all": ("pools/admin.css", "pools/revisions.css")}
        js = ("pools/followers.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        # A document may have megabytes, and a page shows a hundred revisions.
        revisions: QuerySet[Revision] = super().get_queryset(request)
        return revisions.defer("document")

    def get_list_display(self, request: HttpRequest) -> Any:
        if teams.sees_all(request.user):
            return self.list_display
        return ("number", "when", "who")

    def get_fields(self, request: HttpRequest, obj: Revision | None = None) -> Any:
        if teams.sees_all(request.user):
            return self.fields
        return ("number", "when", "who", "processes")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Revision], search_term: str
    ) -> tuple[QuerySet[Revision], bool]:
        if teams.sees_all(request.user):
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(who__icontains=search_term), False

    def has_restore_permission(self, request: HttpRequest) -> bool:
        """Restoring touches every pool and rule there is."""
        allowed = request.user.has_perm("pools.restore_revision")
        return allowed and teams.sees_all(request.user)

    @admin.display(description=gettext_lazy("created at"), ordering="created_at")
    def when(self, revision: Revision) -> str:
        return health.moment(revision.created_at)

    @admin.display(description=gettext_lazy("why"), ordering="why")
    def done(self, revision: Revision) -> SafeString | str:
        if not revision.comment:
            return revision.why
        return format_html(
            '{}<span class="pools-said">{}</span>', revision.why, revision.comment
        )

    @admin.display(description=gettext_lazy("changes"), ordering="changes")
    def changed(self, revision: Revision) -> str:
        return "" if revision.changes is None else str(revision.changes)

    @admin.display(description=gettext_lazy("processes"))
    def processes(self, revision: Revision) -> SafeString | str:
        live = publish.revision()
        if revision.number == live:
            return followers.said(live)
        return _("Revision %(number)d came after it.") % {"number": live}

    # The page of one

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        revision: Revision | None = kwargs.get("obj")
        if revision is not None:
            live = publish.revision()
            others = self.get_queryset(request).exclude(number=revision.number)
            context |= {
                "changes": _since(request, revision.number, _before(revision)),
                "live": live,
                "others": _offered(request, others),
                "restores": revision.number != live and self.has_restore_permission(request),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Any, name: str) -> URLPattern:
            bound: Any = self.admin_site.admin_view(view)
            found: URLPattern = path(route, bound, name=f"pools_revision_{name}")
            return found

        own = [
            page("compare/", self.compare_view, "compare"),
            page("<int:number>/followers/", followers.view, "followers"),
            page("<int:number>/restore/", self.restore_view, "restore"),
        ]
        return [*own, *super().get_urls()]

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """What makes the second of two revisions of the first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        kept = self.get_queryset(request)
        numbers = []
        for name in ("old", "new"):
            text = request.GET.get(name, "")
            number = int(text) if text.isdecimal() and len(text) < 10 else 0
            if not kept.filter(number=number).exists():
                said = _("There is no revision %(number)s, or it is no longer kept.")
                self.message_user(request, said % {"number": text or "?"}, messages.WARNING)
                return redirect(self._list())
            numbers.append(number)
        old, new = numbers
        return self._page(
            request,
            "pools/admin/compare.html",
            _("Revision %(new)d against %(old)d") % {"new": new, "old": old},
            {
                "old": old,
                "new": new,
                "changes": _since(request, new, old),
                "others": _offered(request, kept),
            },
        )

    def restore_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """What restoring would change; a POST does it."""
        if not (self.has_view_permission(request) and self.has_restore_permission(request)):
            raise PermissionDenied
        revision = self.get_queryset(request).filter(number=number).first()
        if revision is None:
            raise Http404
        live = publish.revision()
        if request.method == "POST":
            if request.POST.get("live") == str(live):
                return self._restore(request, revision)
            said = _("Revision %(number)d came meanwhile: look again at what would change.")
            self.message_user(request, said % {"number": live}, messages.WARNING)
        try:
            found = restore.preview(number)
        except RestoreError as error:
            return self._refused(request, revision, error)
        return self._page(
            request,
            "pools/admin/restore.html",
            _("Restore revision %(number)d") % {"number": number},
            {
                "revision": revision,
                "live": live,
                "count": len(found),
                "changes": changes.rendered(found),
                "waiting": staging.waiting(request),
            },
        )

    def _restore(self, request: HttpRequest, revision: Revision) -> HttpResponse:
        user = cast("User", request.user)
        try:
            outcome = restore.restore(
                revision.number,
                who=user.get_username(),
                user=user,
                comment=comment.of(request),
            )
        except (RestoreError, DocumentError, OperationalError) as error:
            return self._refused(request, revision, error)
        if outcome.revision is None:
            said = _("Nothing in it is different: no new revision.")
            self.message_user(request, said, messages.INFO)
        else:
            told = _("Restored revision %(number)d.") % {"number": revision.number}
            done = format_html("{} {}", told, followers.said(outcome.revision.number, new=True))
            self.message_user(request, done, messages.SUCCESS)
        return redirect(self._list())

    def _refused(
        self, request: HttpRequest, revision: Revision, error: Exception
    ) -> HttpResponse:
        reason = " ".join(str(error).split())
        said = _("Nothing was changed: %(problem)s") % {"problem": reason}
        self.message_user(request, said, messages.ERROR)
        return redirect("admin:pools_revision_change", revision.pk)

    def _list(self) -> str:
        return reverse("admin:pools_revision_changelist")

    def _page(
        self, request: HttpRequest, template: str, title: str, context: dict[str, Any]
    ) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, template, {**shared, "media": self.media, **context})


def _before(revision: Revision) -> int | None:
    """The revision before one that is kept; 0 before the first; None where it is gone."""
    earlier = Revision.objects.filter(number__lt=revision.number)
    found = earlier.values_list("number", flat=True).first()
    return found or (0 if revision.number == 1 else None)


def _offered(request: HttpRequest, rows: QuerySet[Revision]) -> list[tuple[int, str]]:
    """The newest, each with what it changed."""
    found = rows.order_by("-number").values_list("number", "why")[:OFFERED]
    named = teams.sees_all(request.user)
    return [(number, why if named else "") for number, why in found]


def _since(request: HttpRequest, number: int, before: int | None) -> SafeString | str:
    """What a revision changed since another, or why that cannot be said."""
    if before is None:
        return _("cannot be compared: the revision before it is no longer kept")
    try:
        found = diff_plain(publish.kept(before), publish.kept(number))
    except DocumentError:
        return _("cannot be compared: written by another version of the program")
    if before == number - 1:
        return changes.rendered(teams.own_changes(request.user, number, found))
    return changes.rendered(teams.own_pending(request.user, found))
