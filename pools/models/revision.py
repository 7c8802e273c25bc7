"""Published configurations, and the one row that processes poll."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F


class Revision(models.Model):
    """A kept document: what was in force from then on, who changed it and why."""

    number = models.PositiveIntegerField(unique=True)
    document = models.JSONField()
    created_at = models.DateTimeField("created at", auto_now_add=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    who = models.CharField(
        blank=True, default="", help_text="Name of the user, or of the command that did it."
    )
    why = models.CharField(blank=True, default="")

    class Meta:
        ordering = ("-number",)
        permissions = [
            ("restore_revision", "Can restore a revision"),
            ("publish_draft", "Can publish or throw away a draft"),
        ]
        get_latest_by = "number"

    def __str__(self) -> str:
        return f"revision {self.number}"


class PublishedState(models.Model):
    """The single row that says which revision and which health are in force."""

    KEY = 1

    revision = models.PositiveIntegerField(default=0)
    health_version = models.PositiveBigIntegerField("health version", default=0)

    class Meta:
        verbose_name = "published state"
        verbose_name_plural = "published state"
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="pools_one_published_state")
        ]

    def __str__(self) -> str:
        return f"revision {self.revision}, health {self.health_version}"

    @classmethod
    def lock(cls) -> PublishedState:
        """The row, held for this process until its transaction ends.

        By an update and not `select_for_update`, which SQLite does not have: an update
        takes the write lock there too, and before anything is read.
        """
        if not cls.objects.filter(pk=cls.KEY).update(revision=F("revision")):
            cls.objects.get_or_create(pk=cls.KEY)
            cls.objects.filter(pk=cls.KEY).update(revision=F("revision"))
        return cls.objects.get(pk=cls.KEY)
