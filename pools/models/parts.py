"""Rows that hold a part of the document.

Rules:
- The document's dataclasses are the one list of fields. A column's name is the path of
  its value joined by "_" (probe.interval_s: probe_interval_s); its default is theirs.
- A column holds the value in the document's plain form.
- Rules of values live in core: a row checks itself by making its part, and each problem
  comes back to its column.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.core import codec
from pools.core.document import Backend, Part, Pool, Route
from pools.core.errors import DocumentError, Path, Problem
from pools.models.drafting import Drafted, InForce

if TYPE_CHECKING:
    from pools.models.draft import Draft

# Parts that are rows of their own, not columns of the row above.
OWN_ROWS = frozenset({"backends"})
_ACRONYMS = {"http": "HTTP", "https": "HTTPS", "tcp": "TCP", "tls": "TLS"}


def choices(kind: type[StrEnum]) -> list[tuple[str, Any]]:
    """The enum's values with labels for people: ("round_robin", "Round robin").

    Lazy texts, each of which pools.models.labels names for translation.
    """
    return [(member.value, gettext_lazy(label(member.value))) for member in kind]


def label(value: str) -> str:
    words = [_ACRONYMS.get(word, word) for word in value.split("_")]
    return " ".join((words[0][:1].upper() + words[0][1:], *words[1:]))


def _columns(kind: type[Part]) -> Iterator[tuple[str, tuple[str, ...]]]:
    hints = typing.get_type_hints(kind)
    for spec in dataclasses.fields(kind):
        if spec.name in OWN_ROWS:
            continue
        hint = hints[spec.name]
        if isinstance(hint, type) and issubclass(hint, Part):
            for name, path in _columns(hint):
                yield f"{spec.name}_{name}", (spec.name, *path)
        else:
            yield spec.name, (spec.name,)


# The columns of a part in the order of its fields, each with its path:
# COLUMNS[Pool]["tls_ca"] is ("tls", "ca").
COLUMNS: Mapping[type[Part], Mapping[str, tuple[str, ...]]] = {
    kind: dict(_columns(kind)) for kind in (Pool, Backend, Route)
}


def column_at(kind: type[Part], path: Path) -> tuple[str, Path]:
    """The column that holds what a problem's path points at, and the rest of the path."""
    for name, steps in COLUMNS[kind].items():
        if path[: len(steps)] == steps:
            return name, path[len(steps) :]
    raise KeyError(path)


class PartModel(models.Model):
    """A row that holds one part of kind `part_kind`. `identity`: the columns that tell it
    from others. What `objects` and `drafted` know is said in pools.models.drafting."""

    part_kind: ClassVar[type[Part]]
    identity: ClassVar[tuple[str, ...]] = ("name",)

    published = models.BooleanField(default=True, editable=False)

    objects = InForce()
    drafted = Drafted()

    class Meta:
        abstract = True

    def plain(self) -> dict[str, Any]:
        """The part as plain data, not checked; a reference is the name of its row."""
        found: dict[str, Any] = {}
        for column, (*above, last) in COLUMNS[self.part_kind].items():
            value = getattr(self, column, None)
            place = found
            for step in above:
                place = place.setdefault(step, {})
            place[last] = getattr(value, "name", None) if self._refers(column) else value
        return found

    def part(self) -> Part:
        """The part, canonical; raises DocumentError where a value does not hold."""
        return codec.parse_part(self.part_kind, self.plain())

    def assign(self, part: Part) -> bool:
        """Take over the part's values, but for references; whether any was another."""
        plain = codec.to_plain(part, defaults=True)
        changed = False
        for column, path in COLUMNS[self.part_kind].items():
            if self._refers(column):
                continue
            value: Any = plain
            for step in path:
                value = value[step]
            if getattr(self, column) != value:
                setattr(self, column, value)
                changed = True
        return changed

    def part_problems(self, part: Any) -> Iterable[Problem]:
        """What does not hold between the values of a part, by core's rules and the site's."""
        return ()

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Django's checks of each column, then the document's where those found nothing.

        Here and not in `clean`, which is not told what a form leaves out: an error at a
        field that a form does not have would break it.
        """
        errors: dict[str, Any] = {}
        try:
            super().clean_fields(exclude=exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        said = {*errors, *(exclude or ())}
        for column, messages in self._by_column(self._problems()).items():
            if column not in said:
                errors[column] = messages
        if errors:
            raise ValidationError(errors)

    def clean(self) -> None:
        """Write values in their canonical form; what does not hold, clean_fields says."""
        super().clean()
        with suppress(DocumentError):
            self.assign(self.part())

    def validate_unique(self, exclude: Collection[str] | None = None) -> None:
        """As Django's, which knows rows in force alone, and against what a draft adds."""
        super().validate_unique(exclude)
        wanted = {name: getattr(self, name, None) for name in self.identity}
        if any(name in (exclude or ()) or value is None for name, value in wanted.items()):
            return
        if any(isinstance(value, PartModel) and value.pk is None for value in wanted.values()):
            return
        others = type(self).drafted.filter(published=False, **wanted).exclude(pk=self.pk)
        if others.exists():
            field = self.identity[min(1, len(self.identity) - 1)]
            raise ValidationError({field: _("The draft adds one of this name already.")})

    # What a draft makes of it

    @classmethod
    def draft_columns(cls) -> tuple[str, ...]:
        """The attributes that a draft may change: the part's columns and what it refers to."""
        names = {**COLUMNS[cls.part_kind], **dict.fromkeys(("pool",))}
        return tuple(
            field.attname for field in cls._meta.concrete_fields if field.name in names
        )

    def draft_or_none(self) -> Draft | None:
        """What a draft makes of it, as it was loaded with the row: by `overlaid` or
        `prefetch_related("draft")`."""
        return self._state.fields_cache.get("draft")

    @property
    def removed(self) -> bool:
        """Whether the draft removes it."""
        draft = self.draft_or_none()
        return draft is not None and draft.removed

    def overlay(self) -> typing.Self:
        """This row with the draft's values; not to be saved."""
        draft = self.draft_or_none()
        for column, value in (draft.values if draft else {}).items():
            if column in self.draft_columns():
                setattr(self, column, value)
        return self

    def _problems(self) -> Iterable[Problem]:
        """Of values alone, and where there are none, of values with each other."""
        try:
            return self.part_problems(self.part())
        except DocumentError as error:
            return error.problems

    def _by_column(self, problems: Iterable[Problem]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for problem in problems:
            column, rest = column_at(self.part_kind, problem.path)
            message = str(Problem(rest, problem.message))
            found.setdefault(column, []).append(message)
        return found

    def _refers(self, column: str) -> bool:
        return bool(self._meta.get_field(column).is_relation)
