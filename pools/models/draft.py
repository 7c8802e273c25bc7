"""What waits to be published, in staged mode: one row for each object that a draft changes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pools.models.backend import Backend
from pools.models.parts import PartModel
from pools.models.pool import Pool
from pools.models.route import Route


class DraftKind(StrEnum):
    NEW = "new"
    EDITED = "edited"
    REMOVED = "removed"


class Draft(models.Model):
    """One object's change. `values` holds the columns that differ from what is in force,
    {column: value}; it is empty for an object that is new, whose row has them, and for one
    that is to be removed."""

    # The one of these that is set is what it changes.
    TARGETS: ClassVar[tuple[str, ...]] = ("pool", "backend", "route")

    pool = models.OneToOneField(Pool, models.CASCADE, null=True, related_name="draft")
    backend = models.OneToOneField(Backend, models.CASCADE, null=True, related_name="draft")
    route = models.OneToOneField(Route, models.CASCADE, null=True, related_name="draft")
    values = models.JSONField(default=dict)
    removed = models.BooleanField(default=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    who = models.CharField(default="")
    comment = models.CharField(default="")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        ordering = ("at", "pk")
        permissions = (("publish_draft", "Can publish or discard the draft"),)
        constraints = [
            models.CheckConstraint(
                condition=(
                    models.Q(pool__isnull=False, backend=None, route=None)
                    | models.Q(pool=None, backend__isnull=False, route=None)
                    | models.Q(pool=None, backend=None, route__isnull=False)
                ),
                name="pools_draft_of_one_object",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target._meta.verbose_name} {self.target}"

    @property
    def target(self) -> PartModel:
        """The row that it changes, as it is in force."""
        for name in self.TARGETS:
            if getattr(self, f"{name}_id") is not None:
                row: PartModel = getattr(self, name)
                return row
        raise TypeError(self.pk)

    @property
    def kind(self) -> DraftKind:
        if not self.target.published:
            return DraftKind.NEW
        return DraftKind.REMOVED if self.removed else DraftKind.EDITED

    def differences(self) -> Iterator[tuple[str, Any, Any]]:
        """The columns that it changes, each with what is in force and what comes."""
        row = self.target
        for column, value in self.values.items():
            before = getattr(row, column, None)
            if before != value:
                yield column, before, value
