"""What the console's pages share that know of a draft: whether edits gather as one, the rows
that it adds, and marks in lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.admin import base
from pools.control import drafts
from pools.models.draft import DraftKind
from pools.models.parts import PartModel

if TYPE_CHECKING:
    from django.contrib.admin.options import BaseModelAdmin

    _Base = BaseModelAdmin[Any]
else:
    _Base = object

C = TypeVar("C", bound=Model)
P = TypeVar("P", bound=Model)
F = TypeVar("F", bound="forms.ModelForm[Any]")

# Asked once for a request, kept where WSGI keeps what belongs to one.
_STAGED = "pools.admin.staged"
_COUNT = "pools.admin.drafts"

_BADGES = {DraftKind.NEW: "up", DraftKind.EDITED: "partly", DraftKind.REMOVED: "down"}


def staged(request: HttpRequest) -> bool:
    """Whether what this request saves goes into the draft."""
    if _STAGED not in request.META:
        request.META[_STAGED] = drafts.staged()
    return cast(bool, request.META[_STAGED])


def waiting(request: HttpRequest) -> int:
    """How many objects the draft changes."""
    if _COUNT not in request.META:
        request.META[_COUNT] = drafts.count()
    return cast(int, request.META[_COUNT])


def forget(request: HttpRequest) -> None:
    """The draft is another one from here on."""
    request.META.pop(_COUNT, None)


def word(kind: DraftKind) -> str:
    words = {
        DraftKind.NEW: _("new"),
        DraftKind.EDITED: _("edited"),
        DraftKind.REMOVED: _("to be removed"),
    }
    return words[kind]


def badge(kind: DraftKind) -> SafeString:
    return format_html(
        '<span class="pools-badge pools-{}">{}</span>', _BADGES[kind], word(kind)
    )


def waits(number: int) -> SafeString:
    """ "A draft of 3 changes waits. Review it"."""
    said = ngettext(
        "A draft of %(number)d change waits to be published.",
        "A draft of %(number)d changes waits to be published.",
        number,
    )
    return format_html("{} {}", said % {"number": number}, link())


def link() -> SafeString:
    """To the draft's page."""
    where = reverse("admin:pools_draft_changelist")
    return format_html('<a class="pools-link" href="{}">{}</a>', where, _("Review it"))


class Drafted(_Base):
    """For an admin or an inline of configuration rows: it has those that a draft adds too."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        if not waiting(request):
            return rows
        model = cast("type[PartModel]", self.model)
        found: QuerySet[Any] = model.drafted.all().order_by(*(self.get_ordering(request) or ()))
        return found.prefetch_related("draft")

    def get_field_queryset(
        self, db: str | None, db_field: Any, request: HttpRequest
    ) -> QuerySet[Any] | None:
        """A rule may lead to a pool that the draft adds."""
        model: type[Model] = db_field.remote_field.model
        if staged(request) and issubclass(model, PartModel):
            offered: QuerySet[Any] = model.drafted.all().not_removed()
            return offered
        return super().get_field_queryset(db, db_field, request)


class DraftedInline(Drafted):
    """Rows of a form, as the draft has them. Those that it removes, or moves elsewhere, are not
    among them."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        if not (staged(request) and waiting(request)):
            return super(Drafted, self).get_queryset(request)
        rows = cast("type[PartModel]", self.model).drafted.all()
        stay: QuerySet[Any] = rows.overlaid().not_removed()
        return stay.exclude(draft__values__has_key="pool_id")


class DraftedFormSet(base.InlineFormSet[C, P, F]):
    """Its rows may be ones that the draft adds, of which Django's own knows nothing."""

    def add_fields(self, form: F, index: int | None) -> None:
        super().add_fields(form, index)
        key = form.fields[self._pk_field.name]  # type: ignore[attr-defined]
        if isinstance(key, forms.ModelChoiceField):
            key.queryset = cast("type[PartModel]", self.model).drafted.all()
