"""What a browser sent, brought onto an object that somebody else changed meanwhile.

Rules:
- Inline rows that the other removed are dropped where nothing was typed into them, and sent
  anew where something was. Rows that the other added are left alone.
- `merge` takes over the other's values where nothing was typed; all that was typed stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from pools.admin.opened import Opened, row_of
from pools.models.parts import PartModel

Form = Any  # a class of model forms, which Django makes for a request


def typed(
    form: Form, model: type[PartModel], data: QueryDict, was: Any, prefix: str = ""
) -> set[str]:
    """The fields of a form into which something else than `was` was typed; none of a row that
    was not there."""
    if was is None:
        return set()
    bound = form(data, instance=row_of(model, was), prefix=prefix or None)
    return set(bound.changed_data)


def rebase(
    data: QueryDict, formset: Any, opened: Opened, now: Opened | None, *, merge: bool
) -> None:
    """Inline rows, with `now` None for an object that is gone: all its rows are new."""
    prefix: str = formset.get_default_prefix()
    was = opened.rows.get(prefix, {})
    there = now.rows.get(prefix, {}) if now else {}
    initial, extra = [], []
    for index in range(_count(data, prefix, "INITIAL")):
        at = f"{prefix}-{index}"
        key = data.get(f"{at}-id", "")
        before = was.get(key)
        edited = typed(formset.form, formset.model, data, before, at)
        deleted = f"{at}-DELETE" in data
        if key in there:
            initial.append(index)
            if merge:
                _take_over(data, formset.form, formset.model, there[key], before, edited, at)
        elif now is None:
            if not deleted:
                extra.append(index)
        elif edited and not deleted:
            extra.append(index)
    extra += range(_count(data, prefix, "INITIAL"), _count(data, prefix, "TOTAL"))
    if now is None:  # rows name their object, where the theme sends that
        for index in extra:
            data.pop(f"{prefix}-{index}-{formset.fk.name}", None)
    _renumber(data, prefix, initial, extra)


def merge(
    data: QueryDict, form: Form, model: type[PartModel], opened: Opened, now: Opened
) -> None:
    """Take over the other's values in the fields of the object itself."""
    edited = typed(form, model, data, opened.row)
    _take_over(data, form, model, now.row, opened.row, edited, "")


def _take_over(
    data: QueryDict, form: Form, model: Any, now: Any, was: Any, edited: set[str], prefix: str
) -> None:
    shown = form(instance=row_of(model, now), prefix=prefix or None)
    for name in shown.fields:
        if name in edited:
            continue
        bound = shown[name]
        value = bound.value()
        if isinstance(bound.field.widget, forms.CheckboxInput):
            data.pop(bound.html_name, None)
            if value:
                data[bound.html_name] = "on"
        elif isinstance(value, list | tuple):
            data.setlist(bound.html_name, [str(item) for item in value])
        else:
            data[bound.html_name] = "" if value is None else str(value)


def sent(data: Iterable[str], prefix: str) -> int:
    """How many inline rows there are fields of, whatever number is claimed."""
    parts = (name.removeprefix(f"{prefix}-").partition("-") for name in data)
    return len({number for number, _, field in parts if field and number.isdecimal()})


def _count(data: QueryDict, prefix: str, which: str) -> int:
    text = data.get(f"{prefix}-{which}_FORMS", "0")
    there = sent(data, prefix)
    if not text.isdecimal():
        return 0
    return min(int(text), there) if len(text) < 10 else there


def _renumber(
    data: QueryDict, prefix: str, initial: Sequence[int], extra: Sequence[int]
) -> None:
    """Rows in this order, `extra` ones as new."""
    kept = []
    for index in (*initial, *extra):
        at = f"{prefix}-{index}-"
        kept.append({k.removeprefix(at): data.getlist(k) for k in data if k.startswith(at)})
    for index in range(_count(data, prefix, "TOTAL")):
        for name in [name for name in data if name.startswith(f"{prefix}-{index}-")]:
            del data[name]
    for index, found in enumerate(kept):
        if index >= len(initial):
            found["id"] = [""]
        for name, given in found.items():
            data.setlist(f"{prefix}-{index}-{name}", given)
    data[f"{prefix}-INITIAL_FORMS"] = str(len(initial))
    data[f"{prefix}-TOTAL_FORMS"] = str(len(kept))
