"""What processes carried, added up; see pools.control.buckets for what is in it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class TrafficBucket(models.Model):
    """What one process carried in a span of time, of one part of the names.

    Spans of `width_s` seconds begin at multiples of it, in seconds since 1970. Rows of the
    same span and part add up, whoever wrote them.
    """

    width_s = models.PositiveIntegerField(_("width (s)"))
    part = models.PositiveSmallIntegerField()
    begins_at = models.PositiveBigIntegerField(_("begins at"))
    packed = models.BinaryField()

    class Meta:
        verbose_name = _("traffic bucket")
        indexes = [
            models.Index(fields=("width_s", "part", "begins_at"), name="pools_traffic_span"),
            models.Index(fields=("width_s", "begins_at"), name="pools_traffic_age"),
        ]

    def __str__(self) -> str:
        return f"{self.width_s} s from {self.begins_at}, part {self.part}"


class TrafficNow(models.Model):
    """What one process carried in the last minute; `writer` is another in each process, and
    `seen_at` in seconds since 1970."""

    writer = models.CharField(max_length=32, primary_key=True)
    seen_at = models.FloatField(_("seen at"))
    packed = models.BinaryField()

    class Meta:
        verbose_name = _("traffic now")
        verbose_name_plural = _("traffic now")

    def __str__(self) -> str:
        return f"{self.writer} at {self.seen_at:.0f}"
