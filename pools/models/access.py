"""Who may do what: teams, and roles as groups; and who did what."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Team(models.Model):
    """A group of users that pools and routes can be given to.

    Who is in teams sees and changes theirs alone; who is in none, what is nobody's.
    """

    group = models.OneToOneField(
        "auth.Group",
        on_delete=models.CASCADE,
        related_name="team",
        verbose_name=_("group"),
        help_text=_("Its members see and change the team's pools and routing rules alone."),
    )

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ("group__name",)
        permissions = [("see_every_team", "Can see what belongs to every team")]

    def __str__(self) -> str:
        return self.group.name


class Role(models.Model):
    """The group that a role was made as, and the permissions that it was ever given.

    What is in `granted` is not given again: a permission that an administrator took from
    the group stays taken, and so does the group once it was deleted.
    """

    name = models.CharField(max_length=32, unique=True)
    group = models.OneToOneField(
        "auth.Group", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    granted = models.JSONField(default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """One thing that was done. Kept as it was: names stay when what they name is gone.

    `changes` are {"field", "old", "new"} with secrets masked; `team` is whose it was then.
    """

    at = models.DateTimeField(_("at"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    who = models.CharField(_("who"), blank=True, default="")
    address = models.CharField(_("client address"), max_length=45, blank=True, default="")
    action = models.CharField(_("action"), max_length=64)
    kind = models.CharField(_("kind"), max_length=32, blank=True, default="")
    name = models.CharField(_("object"), blank=True, default="")
    changes = models.JSONField(_("changes"), blank=True, default=list)
    revision = models.PositiveIntegerField(_("revision"), null=True, blank=True)
    team = models.ForeignKey(
        Team,
        # The number stays when the team goes, so that its past does not become everybody's.
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("team"),
    )

    class Meta:
        verbose_name = _("audit log entry")
        verbose_name_plural = _("audit log entries")
        ordering = ("-at", "-pk")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=("-at", "-id"), name="pools_audit_at"),
            models.Index(fields=("kind", "name", "-at"), name="pools_audit_object"),
            models.Index(fields=("revision",), name="pools_audit_revision"),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.who, self.action, self.kind, self.name)))
