"""What is wrong, since when, whom it was told and what came of that.

Written by pools.notify alone; channels, whose rows people edit, hold none of it.
"""

from __future__ import annotations

import secrets
from enum import StrEnum

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from pools.models.parts import choices


class AlertKind(StrEnum):
    BACKEND_DOWN = "backend_down"
    POOL_EMPTY = "pool_empty"
    POOL_PANIC = "pool_panic"
    NOT_PROBED = "not_probed"
    CERTIFICATE = "certificate"


class Phase(StrEnum):
    BEGUN = "begun"
    ENDED = "ended"


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


def new_uid() -> str:
    """The id of a message, the same in each attempt to deliver it (Standard Webhooks)."""
    return f"msg_{secrets.token_hex(16)}"


class Alert(models.Model):
    """Something that is wrong, from when it was first seen until it was seen to be over.

    `subject` is a backend's key, a pool's name or a certificate's; `pool` is "" where it
    belongs to none.
    """

    kind = models.CharField(_("kind"), max_length=16, choices=choices(AlertKind))
    subject = models.CharField(_("subject"))
    pool = models.CharField(_("pool"), blank=True, default="")
    detail = models.CharField(
        _("detail"), blank=True, default="", help_text=_("What was seen, in words.")
    )
    begun_at = models.DateTimeField(_("begun at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    ending = models.CharField(
        _("ending"),
        blank=True,
        default="",
        help_text=_("Why it ended, where not because all is well."),
    )

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = (F("ended_at").desc(nulls_first=True), "-begun_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=("kind", "subject"),
                condition=Q(ended_at=None),
                name="pools_one_open_alert",
            )
        ]
        indexes = [
            models.Index(fields=("ended_at",), name="pools_alert_ended_at"),
            models.Index(fields=("subject", "kind"), name="pools_alert_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.subject}"


class Delivery(models.Model):
    """One message for one channel, until it was sent or given up.

    Who sends it claims it first, until `claimed_until`; a claim that ran out was a
    process's that died, and the message is sent again.
    """

    uid = models.CharField(_("id"), max_length=40, unique=True, default=new_uid)
    channel = models.ForeignKey(
        "pools.Channel",
        verbose_name=_("channel"),
        on_delete=models.CASCADE,
        related_name="deliveries",
    )
    subject = models.CharField(_("subject"))
    text = models.TextField(_("text"))
    payload = models.JSONField(_("payload"))
    created_at = models.DateTimeField(_("created at"))
    next_at = models.DateTimeField(_("next attempt at"))
    claimed_until = models.DateTimeField(_("claimed until"), null=True, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    state = models.CharField(
        _("state"),
        max_length=8,
        choices=choices(DeliveryState),
        default=DeliveryState.PENDING.value,
    )
    result = models.CharField(
        _("result"), blank=True, default="", help_text=_("Of the last attempt.")
    )
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("-created_at", "-pk")
        indexes = [
            models.Index(
                fields=("next_at",),
                condition=Q(state="pending"),
                name="pools_delivery_pending",
            ),
            models.Index(fields=("created_at",), name="pools_delivery_created_at"),
        ]

    def __str__(self) -> str:
        return self.subject


class Telling(models.Model):
    """That a channel is told of an alert's beginning or end; once each.

    It waits for the channel's digest, then goes with a delivery. A beginning stands until
    its end is told: meanwhile the same is not told again, though it went and came back.
    """

    channel = models.ForeignKey(
        "pools.Channel", on_delete=models.CASCADE, related_name="tellings"
    )
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="tellings")
    phase = models.CharField(max_length=8, choices=choices(Phase))
    at = models.DateTimeField()
    since = models.DateTimeField(help_text=_("When what is told began."))
    waits = models.BooleanField(default=True)
    stands = models.BooleanField(default=False)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.SET_NULL, null=True, related_name="tellings"
    )

    class Meta:
        verbose_name = _("telling")
        verbose_name_plural = _("tellings")
        constraints = [
            models.UniqueConstraint(
                fields=("channel", "alert", "phase"), name="pools_told_once"
            )
        ]
        indexes = [
            models.Index(fields=("at",), condition=Q(waits=True), name="pools_telling_waits"),
            models.Index(
                fields=("channel",), condition=Q(stands=True), name="pools_telling_stands"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.alert} {self.phase}, to {self.channel}"


class Evaluation(models.Model):
    """The single row that numbers changes of alerts and tellings.

    Who changes them has read this number first, and changes nothing where another one was
    faster: two workers never act on the same news, nor one that slept on old news.
    """

    KEY = 1

    number = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="pools_one_evaluation")]

    def __str__(self) -> str:
        return f"evaluation {self.number}"

    @classmethod
    def current(cls) -> int:
        row, _ = cls.objects.get_or_create(pk=cls.KEY)
        return row.number

    @classmethod
    def advance(cls, number: int) -> bool:
        """Take the next number, if it is the next one still; False: another one has."""
        rows = cls.objects.filter(pk=cls.KEY, number=number)
        return bool(rows.update(number=number + 1))
