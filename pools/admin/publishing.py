"""Whatever the admin writes goes through `publish.change`, or in staged mode into the draft.

Rules:
- A save with its inlines, a deletion or an action is one change and so one revision at
  most; the message that follows names it.
- Writers take turns from before the first check on, so that what was checked is what is
  saved: of two who add the same name at a time, the second gets an error at its field.
- What cannot come into force changes nothing. A form is shown again with all that was
  typed, and each reason at its field where the field is on the form; elsewhere the
  reason is a message.
- What somebody else changed since a form was opened is not overwritten (pools.admin.conflict).
- Forms write the draft in staged mode. Actions are an operator's: in force at once in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from django import forms
from django.contrib import admin, messages
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base, comment, conflict, followers, masked, sentences, staging
from pools.control import drafts, publish
from pools.control.drafts import Drafting
from pools.control.publish import Outcome
from pools.core.errors import DocumentError, Path, Problem
from pools.models import Backend, Pool, PublishedState, Route
from pools.models.parts import PartModel, column_at

if TYPE_CHECKING:
    from django.contrib.auth.models import User

R = TypeVar("R", bound=PartModel)

# What one request knows of its change, kept where WSGI keeps what belongs to a request.
_REFUSED = "pools.admin.refused"
_OUTCOME = "pools.admin.outcome"
_FORM = "pools.admin.form"


@contextmanager
def _in_turn() -> Iterator[None]:
    """A transaction that begins when no other writer is at work."""
    with transaction.atomic():
        PublishedState.lock()
        yield


def _problems(error: DocumentError | OperationalError) -> Sequence[Problem]:
    if isinstance(error, DocumentError):
        return error.problems
    reason = str(error).strip().splitlines()[0]
    return (
        Problem(
            (), _("the database did not take it (%(reason)s): try again") % {"reason": reason}
        ),
    )


def place(row: PartModel) -> Path:
    """The path of a row in what publish.change complains of."""
    match row:
        case Pool():
            return (f"pools[{row.name}]",)
        case Backend():
            return (f"pools[{row.pool.name}]", f"backends[{row.address}]")
        case Route():
            return (f"routes[{row.name}]",)
    raise TypeError(row)


def _effect(outcome: Outcome | None) -> SafeString | str:
    """What a change led to; None: it is in the draft."""
    if outcome is None:
        said = _("So far it is in the draft alone, which is in force once it is published.")
        return format_html("{} {}", said, staging.link())
    if outcome.revision is None:
        return _("Nothing in it is different: no new revision.")
    return followers.said(outcome.revision.number, new=True)


class PartForm(base.ModelForm[R]):
    """A form that can be told why what it holds was refused."""

    refused: ClassVar[Sequence[Problem]] = ()

    def _post_clean(self) -> None:
        masked.keep(self)
        super()._post_clean()  # type: ignore[misc]
        for problem in self.refused:
            column, text = self._spot(problem)
            self.add_error(column, text)

    def _spot(self, problem: Problem) -> tuple[str | None, str]:
        """The field that a problem is about, if it is on the form, and what to say there."""
        own = place(self.instance)
        if problem.path[: len(own)] == own:
            try:
                column, rest = column_at(self.instance.part_kind, problem.path[len(own) :])
            except KeyError:
                column, rest = "", ()
            if column in self.fields:
                return column, str(Problem(rest, problem.message))
        if not problem.path:
            said = _("Nothing was saved: %(problem)s")
        else:
            said = _("Nothing was saved, as the configuration does not hold: %(problem)s")
        return None, said % {"problem": problem}


class PublishingAdmin(staging.Drafted, masked.Masked, base.ModelAdmin[R]):
    """An admin of configuration rows."""

    form = PartForm
    change_form_template = "pools/admin/part_form.html"
    delete_confirmation_template = "pools/admin/delete_confirmation.html"
    delete_selected_confirmation_template = "pools/admin/delete_selected_confirmation.html"

    class Media:
        css = {"all": ("pools/revisions.css",)}
        js = ("pools/followers.js",)

    # Lists

    def get_list_display(self, request: HttpRequest) -> Any:
        found = super().get_list_display(request)
        return (*found, "draft_mark") if staging.waiting(request) else found

    @admin.display(description=gettext_lazy("draft"))
    def draft_mark(self, row: R) -> SafeString | str:
        draft = row.draft_or_none()
        return staging.badge(draft.kind) if draft else ""

    # Saving

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        request.META[_FORM] = True
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with _in_turn():
                object_id = self._look(request, object_id)
                return super().changeform_view(request, object_id, form_url, extra_context)
        except (DocumentError, OperationalError) as error:
            # All is rolled back. Once more, so that the form comes back with the reasons.
            request.META[_REFUSED] = _problems(error)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def _look(self, request: HttpRequest, object_id: str | None) -> str | None:
        """Stop a save that somebody else was faster than; the id to go on with: of an object
        that is gone, what was typed becomes a new one."""
        row = self.get_object(request, object_id) if object_id else None
        allowed = self.has_add_permission(request) if row is None else True
        if object_id is None or not allowed or (row is None and not self._typed(request)):
            return object_id
        if row is not None and not self.has_change_permission(request, row):
            return object_id
        if not conflict.look(self, request, row) and (found := conflict.found(request)):
            request.META[_REFUSED] = (found.problem,)
        return object_id if row else None

    def _typed(self, request: HttpRequest) -> bool:
        return conflict.OPENED in request.POST

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> R | None:
        """The object; for its form in staged mode, as the draft has it."""
        found: R | None = super().get_object(request, object_id, from_field)
        if found and request.META.get(_FORM) and staging.staged(request):
            overlaid: R = found.overlay()
            return overlaid
        return found

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: R | None = None,
    ) -> HttpResponse:
        formsets = context["inline_admin_formsets"]
        saves = self.has_change_permission(request, obj) if obj else add
        context["saves"], context["removed"] = saves, bool(obj and obj.removed)
        if request.method == "POST":
            context["opened"] = conflict.token(request)
            if found := conflict.found(request):
                conflict.collide(found, context["adminform"].form, formsets)
                context["conflict"] = found
        elif obj and saves:
            context["opened"] = conflict.shown(obj, formsets)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_form(
        self, request: HttpRequest, obj: R | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[R]]:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"refused": request.META.get(_REFUSED, ())})

    def save_model(
        self, request: HttpRequest, obj: R, form: forms.ModelForm[R], change: bool
    ) -> None:
        """Nothing yet: `save_related`, called next, saves it and what hangs on it as one."""

    def save_related(
        self,
        request: HttpRequest,
        form: forms.ModelForm[R],
        formsets: Iterable[forms.BaseModelFormSet[Any, Any]],
        change: bool,
    ) -> None:
        formsets = list(formsets)
        if staging.staged(request):
            with self.drafting(request) as draft:
                draft.keep(form.instance)
                form.save_m2m()
                for formset in formsets:
                    rows = formset.save(commit=False)
                    for gone in formset.deleted_objects:
                        draft.remove(gone)
                    for row in rows:
                        draft.keep(row)
            return
        with translation.override("en"):
            why = sentences.saved(form, formsets, change=change)
        with self.publishing(request, why):
            drafts.adopt(form.instance)
            super().save_model(request, form.instance, form, change)
            super().save_related(request, form, formsets, change)

    # Deleting

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if request.method != "POST":
            return super().delete_view(request, object_id, extra_context)
        try:
            with _in_turn():
                return super().delete_view(request, object_id, extra_context)
        except (DocumentError, OperationalError) as error:
            self.refuse(request, error)
            page = f"{self.opts.app_label}_{self.opts.model_name}_change"
            return redirect(f"{self.admin_site.name}:{page}", object_id)

    def delete_model(self, request: HttpRequest, obj: R) -> None:
        if staging.staged(request):
            with self.drafting(request) as draft:
                draft.remove(obj)
            return
        with self.publishing(request, self._deleted([obj])):
            drafts.check_unheld([obj])
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[R]) -> None:
        rows = list(queryset)
        if staging.staged(request):
            with self.drafting(request) as draft:
                for row in rows:
                    draft.remove(row)
            return
        with self.publishing(request, self._deleted(rows)):
            drafts.check_unheld(rows)
            super().delete_queryset(request, queryset)

    def _deleted(self, rows: Sequence[R]) -> str:
        with translation.override("en"):
            return sentences.deleted(rows)

    # Actions

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[R], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Run the action that was chosen; it changes all it is to change or nothing."""
        try:
            with _in_turn():
                return super().response_action(request, queryset, *args, **kwargs)
        except (DocumentError, OperationalError) as error:
            self.refuse(request, error)
            return HttpResponseRedirect(request.get_full_path())

    # What they share

    @contextmanager
    def publishing(self, request: HttpRequest, why: str) -> Iterator[None]:
        """Change rows in force in here, for `why` in English; raises DocumentError where they
        do not hold. In both modes: for what an operator does."""
        with publish.change(**self._author(request), why=why) as outcome:
            yield
        request.META[_OUTCOME] = outcome

    @contextmanager
    def drafting(self, request: HttpRequest) -> Iterator[Drafting]:
        """Write the draft in here; raises DocumentError where it does not hold."""
        with drafts.draft(**self._author(request)) as draft:
            yield draft
        staging.forget(request)
        request.META[_OUTCOME] = None

    def _author(self, request: HttpRequest) -> dict[str, Any]:
        # The admin lets nobody in who has no account.
        user = cast("User", request.user)
        return {"who": user.get_username(), "user": user, "comment": comment.of(request)}

    def refuse(self, request: HttpRequest, error: DocumentError | OperationalError) -> None:
        for problem in _problems(error):
            said = _("Nothing was changed: %(problem)s") % {"problem": problem}
            self.message_user(request, said, messages.ERROR)

    def message_user(
        self,
        request: HttpRequest,
        message: Any,
        level: int | str = messages.INFO,
        extra_tags: str = "",
        fail_silently: bool = False,
    ) -> None:
        """As Django's, and after a change it says what came into force."""
        if _OUTCOME in request.META:
            message = format_html("{} {}", message, _effect(request.META.pop(_OUTCOME)))
        super().message_user(request, message, level, extra_tags, fail_silently)
