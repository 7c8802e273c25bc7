"""Two people edit one object: the second is told, and nothing is overwritten unasked.

The page comes back with all that was typed, who changed what and when, and a choice: keep the
other's values where nothing was typed, or save the form as it stands. Without a choice, or
where there was yet another change since, it comes back again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest
from django.utils.translation import gettext as _

from pools.admin import changes, opened, rebasing
from pools.admin.opened import Opened
from pools.control import authors, publish, teams
from pools.core.errors import Problem
from pools.models.parts import PartModel

OPENED, SEEN, CHOICE = "_opened", "_seen", "_conflict"
MERGE, OVERWRITE, ADD = "merge", "overwrite", "add"

# Kept where WSGI keeps what belongs to a request.
_FOUND = "pools.admin.conflict"
_TOKEN = "pools.admin.opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changed it, when, what was done and what was said of it; `revision` None: in the
    draft."""

    who: str
    at: datetime
    why: str
    comment: str = ""
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """A value that the other changed. `mine` is what was typed, where that is another."""

    of: str
    name: str
    was: changes.Value | None
    now: changes.Value | None
    mine: changes.Value | None = None


@dataclass(slots=True, kw_only=True)
class Conflict:
    """`now` None: the object is gone."""

    was: Opened
    now: Opened | None
    authors: list[Author] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)

    @property
    def seen(self) -> str:
        return self.now.digest if self.now else "gone"

    @property
    def problem(self) -> Problem:
        if self.now is None:
            return Problem((), _("it was deleted meanwhile. What you typed is below."))
        return Problem(
            (), _("somebody else changed it meanwhile. Choose what is to become of that.")
        )


def found(request: HttpRequest) -> Conflict | None:
    """The conflict that stops this request's save."""
    return request.META.get(_FOUND)


def token(request: HttpRequest) -> str:
    """What the form that comes back carries."""
    return str(request.META.get(_TOKEN, request.POST.get(OPENED, "")))


def look(admin: ModelAdmin[Any], request: HttpRequest, row: PartModel | None) -> bool:
    """Compare what a form was opened with and what there is; whether the save may go on.

    `row` None: the object is gone. What was sent is brought onto what there is.
    """
    was = opened.read(request.POST.get(OPENED, ""))
    if was is None:
        if row is None:
            return False
        # Nothing is known of what was seen: all that there is may be news.
        was = Opened(revision=publish.revision(), row={}, rows={})
    now = current(admin, request, row) if row else None
    if now and now.same(was):
        return True
    conflict = Conflict(was=was, now=now)
    choice, seen = request.POST.get(CHOICE, ""), request.POST.get(SEEN, "")
    chosen = choice in ((MERGE, OVERWRITE) if now else (ADD,)) and seen == conflict.seen
    data = request.POST.copy()
    for _inline, formset in _formsets(admin, request, row):
        rebasing.rebase(data, formset, was, now, merge=chosen and choice == MERGE)
    if row and now and chosen and choice == MERGE:
        rebasing.merge(data, admin.get_form(request, row, change=True), type(row), was, now)
    request.POST = data  # type: ignore[assignment]
    if chosen:
        request.META[_TOKEN] = now.signed() if now else ""
        return True
    conflict.authors = list(_authors(admin, was, row, named=teams.sees_all(request.user)))
    request.META[_FOUND] = conflict
    return False


def current(admin: ModelAdmin[Any], request: HttpRequest, row: PartModel) -> Opened:
    """The object as it is, with the inline rows that its form has."""
    inline = {}
    for one, formset in _formsets(admin, request, row):
        rows = one.get_queryset(request).filter(**{f"{formset.fk.name}_id": row.pk})
        inline[formset.get_default_prefix()] = rows
    return opened.of(row, publish.revision(), inline)


def shown(row: PartModel, formsets: Iterable[Any]) -> str:
    """What a form that is opened carries; the rows are those that it shows."""
    inline: dict[str, list[PartModel]] = {}
    for each in formsets:
        forms = each.formset.initial_forms
        inline[each.formset.prefix] = [form.instance for form in forms]
    return opened.of(row, publish.revision(), inline).signed()


def collide(conflict: Conflict, form: Any, formsets: Iterable[Any]) -> None:
    """Say what the other changed, and what this form has there."""
    if conflict.now is None:
        return
    model = type(form.instance)
    was, now = conflict.was, conflict.now
    conflict.collisions = list(_columns(model, "", was.row or now.row, now.row, form))
    for each in formsets:
        formset = each.formset
        bound = {str(one.instance.pk): one for one in formset.forms if one.instance.pk}
        before, after = was.rows.get(formset.prefix, {}), now.rows.get(formset.prefix, {})
        conflict.collisions += _rows(formset.model, before, after, bound)


def _rows(
    model: type[PartModel],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    forms: Mapping[str, Any],
) -> Iterator[Collision]:
    for key in {**before, **after}:
        known = after.get(key) or before[key]
        of = str(getattr(opened.row_of(model, known), "address", key))
        there, gone = changes.Value(text=_("there")), changes.Value(text=_("not there"))
        if key not in after:
            yield Collision(of=of, name="", was=there, now=gone)
        elif key not in before:
            yield Collision(of=of, name="", was=gone, now=there)
        else:
            yield from _columns(model, of, before[key], after[key], forms.get(key))


def _columns(
    model: type[PartModel], of: str, before: Any, after: Any, form: Any
) -> Iterator[Collision]:
    for column, value in after.items():
        old = before.get(column)
        if old == value:
            continue
        if column == "removed":
            words = {True: _("to be removed"), False: _("stays")}
            was, now = (changes.Value(text=words[bool(one)]) for one in (old, value))
            yield Collision(of=of, name="", was=was, now=now)
            continue
        line = changes.line(model, column, old, value)
        name = next(f.name for f in model._meta.concrete_fields if f.attname == column)
        mine = getattr(form, "cleaned_data", {}).get(name) if form is not None else None
        mine = opened.told(mine.pk if isinstance(mine, PartModel) else mine)
        yours = changes.line(model, column, None, mine).new if mine != old else None
        yield Collision(of=of, name=line.name, was=line.old, now=line.new, mine=yours)


def _authors(
    admin: ModelAdmin[Any], was: Opened, row: PartModel | None, *, named: bool
) -> Iterator[Author]:
    """`named`: with what was said of each change, which may name what is another team's."""
    versions = [opened.row_of(admin.model, was.row)] if was.row else []
    draft = row.draft_or_none() if row else None
    if draft:
        yield Author(who=draft.who, at=draft.at, why="", comment=draft.comment)
    for each in authors.since(was.revision, [*versions, *([row] if row else [])]):
        yield Author(
            who=each.who,
            at=each.created_at,
            why=each.why if named else "",
            comment=each.comment if named else "",
            revision=each.number,
        )


def _formsets(
    admin: ModelAdmin[Any], request: HttpRequest, row: PartModel | None
) -> Iterator[tuple[Any, Any]]:
    for inline in admin.get_inline_instances(request, row):
        yield inline, inline.get_formset(request, row)
