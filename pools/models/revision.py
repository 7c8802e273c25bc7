"""Published configurations, and the one row that processes poll."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Revision(models.Model):
    """A kept document: what was in force from then on, who changed it and why."""

    number = models.PositiveIntegerField(_("number"), unique=True)
    document = models.JSONField(_("document"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    who = models.CharField(
        _("who"),
        blank=True,
        default="",
        help_text=_("Name of the user, or of the command that did it."),
    )
    why = models.CharField(_("why"), blank=True, default="")
    comment = models.CharField(
        _("comment"),
        blank=True,
        default="",
        help_text=_("What the one who made it had to say."),
    )
    changes = models.PositiveIntegerField(
        _("changes"),
        null=True,
        help_text=_("How many there are since the revision before; null: not counted."),
    )

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        ordering = ("-number",)
        get_latest_by = "number"
        permissions = (("restore_revision", "Can restore a revision"),)

    def __str__(self) -> str:
        return str(_("revision %(number)s") % {"number": self.number})


class PublishedState(models.Model):
    """The single row that says which revision and which health are in force."""

    KEY = 1

    revision = models.PositiveIntegerField(default=0)
    health_version = models.PositiveBigIntegerField(_("health version"), default=0)
    # Whether edits gather as a draft; null: as POOLS_STAGED says.
    staged = models.BooleanField(null=True, default=None)

    class Meta:
        verbose_name = _("published state")
        verbose_name_plural = _("published state")
        permissions = (("switch_staged", "Can switch staged mode"),)
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
