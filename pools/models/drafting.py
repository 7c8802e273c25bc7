"""Rows that are in force, and rows as a draft has them.

Rules:
- The columns of a row are what is in force. What a draft makes of it stands in `Draft`; a
  row that is new in a draft is `published=False` until the draft is published.
- `Model.objects`, and so every related manager, knows rows in force alone: probes, verdicts,
  the compile and commands never meet a draft. `Model.drafted` has all rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models
from django.db.models.query import ModelIterable

if TYPE_CHECKING:
    from pools.models.parts import PartModel

R = TypeVar("R", bound="PartModel")


class _Overlaid(ModelIterable):  # type: ignore[type-arg]
    """Rows with their draft's values in place of what is in force."""

    def __iter__(self) -> Iterator[Any]:
        for row in super().__iter__():
            yield row.overlay()


class PartQuerySet(models.QuerySet[R]):
    def overlaid(self) -> PartQuerySet[R]:
        """The same rows as the draft has them; they are not to be saved."""
        rows = self.select_related("draft")
        rows._iterable_class = _Overlaid
        return rows

    def not_removed(self) -> PartQuerySet[R]:
        """But for those that the draft removes."""
        return self.filter(models.Q(draft=None) | models.Q(draft__removed=False))


class Drafted(models.Manager.from_queryset(PartQuerySet)[R]):  # type: ignore[misc]
    """All rows."""


class InForce(models.Manager[R]):
    """Rows in force."""

    def get_queryset(self) -> models.QuerySet[R]:
        return super().get_queryset().filter(published=True)
