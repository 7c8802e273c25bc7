"""Whatever the admin writes goes through `publish.change`.

Rules:
- A save with its inlines, a deletion or an action is one change and so one revision at
  most; the message that follows names it.
- Writers take turns from before the first check on, so that what was checked is what is
  saved: of two who add the same name at a time, the second gets an error at its field.
- What cannot come into force changes nothing. A form is shown again with all that was
  typed, and each reason at its field where the field is on the form; elsewhere the
  reason is a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from django import forms
from django.contrib import messages
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.html import format_html

from pools.admin import base, masked, sentences
from pools.control import publish
from pools.core.errors import DocumentError, Path, Problem
from pools.models import Backend, Pool, PublishedState, Route
from pools.models.parts import PartModel, column_at

if TYPE_CHECKING:
    from django.contrib.auth.models import User

R = TypeVar("R", bound=PartModel)

# What one request knows of its change, kept where WSGI keeps what belongs to a request.
_REFUSED = "pools.admin.refused"
_OUTCOME = "pools.admin.outcome"


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
    return (Problem((), f"the database did not take it ({reason}): try again"),)


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
            return None, f"Nothing was saved: {problem}"
        return None, f"Nothing was saved, as the configuration does not hold: {problem}"


class PublishingAdmin(masked.Masked, base.ModelAdmin[R]):
    """An admin of configuration rows."""

    form = PartForm

    # Saving

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with _in_turn():
                return super().changeform_view(request, object_id, form_url, extra_context)
        except (DocumentError, OperationalError) as error:
            # All is rolled back. Once more, so that the form comes back with the reasons.
            request.META[_REFUSED] = _problems(error)
            return super().changeform_view(request, object_id, form_url, extra_context)

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
        with self.publishing(request, sentences.saved(form, formsets, change=change)):
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
        with self.publishing(request, sentences.deleted([obj])):
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[R]) -> None:
        with self.publishing(request, sentences.deleted(list(queryset))):
            super().delete_queryset(request, queryset)

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
        """Change rows in here; raises DocumentError where they do not hold."""
        # The admin lets nobody in who has no account.
        user = cast("User", request.user)
        with publish.change(who=user.get_username(), user=user, why=why) as outcome:
            yield
        request.META[_OUTCOME] = outcome

    def refuse(self, request: HttpRequest, error: DocumentError | OperationalError) -> None:
        for problem in _problems(error):
            self.message_user(request, f"Nothing was changed: {problem}", messages.ERROR)

    def message_user(
        self,
        request: HttpRequest,
        message: Any,
        level: int | str = messages.INFO,
        extra_tags: str = "",
        fail_silently: bool = False,
    ) -> None:
        """As Django's, and after a change it says what came into force."""
        if outcome := request.META.pop(_OUTCOME, None):
            message = format_html("{} {}", message, sentences.in_force(outcome))
        super().message_user(request, message, level, extra_tags, fail_silently)
