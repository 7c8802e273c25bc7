"""What probes found. Written by probes alone, never by a save of the configuration."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from pools.core.probing import Verdict
from pools.models.backend import Backend
from pools.models.parts import choices
from pools.models.pool import Pool


class BackendHealth(models.Model):
    """The verdict on a backend and the counts towards the next one.

    Written only when something of it changes: steady health writes nothing here.
    """

    backend = models.OneToOneField(Backend, on_delete=models.CASCADE, related_name="health")
    verdict = models.CharField(
        max_length=8, choices=choices(Verdict), default=Verdict.UNKNOWN.value
    )
    since = models.DateTimeField(
        null=True, blank=True, help_text=_("When the verdict became what it is.")
    )
    successes = models.IntegerField(default=0, help_text=_("Consecutive ones, up to rise."))
    failures = models.IntegerField(default=0, help_text=_("Consecutive ones, up to fall."))
    reason = models.CharField(
        blank=True, default="", help_text=_("What the last probe that changed something found.")
    )
    code = models.IntegerField(
        _("status"), null=True, blank=True, help_text=_("The HTTP status.")
    )
    latency_ms = models.FloatField(_("latency (ms)"), null=True, blank=True)
    changed_at = models.DateTimeField(_("changed at"), null=True, blank=True)
    certificate_until = models.DateTimeField(
        _("certificate until"),
        null=True,
        blank=True,
        help_text=_("When the certificate that probes met ends."),
    )
    next_at = models.DateTimeField(
        _("next at"),
        null=True,
        blank=True,
        help_text=_("When a backend between up and down is probed again."),
    )

    class Meta:
        verbose_name = _("health")
        verbose_name_plural = _("health")

    def __str__(self) -> str:
        return f"{self.backend.key}: {self.verdict}"


class HealthEvent(models.Model):
    """A verdict that flipped."""

    backend = models.ForeignKey(
        Backend, verbose_name=_("backend"), on_delete=models.CASCADE, related_name="events"
    )
    at = models.DateTimeField(_("at"))
    old = models.CharField(_("from"), max_length=8, choices=choices(Verdict))
    new = models.CharField(_("to"), max_length=8, choices=choices(Verdict))
    reason = models.CharField(_("reason"), blank=True, default="")
    seen_by = models.CharField(
        _("seen by"), blank=True, default="", help_text=_("The process whose probe it was.")
    )

    class Meta:
        verbose_name = _("health event")
        verbose_name_plural = _("health events")
        ordering = ("-at", "-pk")
        indexes = [
            models.Index(fields=("backend", "-at"), name="pools_event_backend_at"),
            models.Index(fields=("-at",), name="pools_event_at"),
        ]

    def __str__(self) -> str:
        return f"{self.backend.key}: {self.old} -> {self.new}"


class LatencyBucket(models.Model):
    """What one process measured of a backend in a span of time; latencies are of successes."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="latencies")
    begins_at = models.DateTimeField(_("begins at"))
    probes = models.PositiveIntegerField()
    failures = models.PositiveIntegerField()
    mean_ms = models.FloatField(_("mean (ms)"), null=True)
    worst_ms = models.FloatField(_("worst (ms)"), null=True)

    class Meta:
        verbose_name = _("latency bucket")
        indexes = [
            models.Index(fields=("backend", "begins_at"), name="pools_latency_backend_at"),
            models.Index(fields=("begins_at",), name="pools_latency_at"),
        ]

    def __str__(self) -> str:
        return f"{self.backend.key}: {self.probes} probes from {self.begins_at}"


class ProbeGap(models.Model):
    """A time in which a pool's verdicts were unknown, as nobody probed it."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="gaps")
    begins_at = models.DateTimeField(_("begins at"))
    ends_at = models.DateTimeField(_("ends at"))

    class Meta:
        verbose_name = _("probe gap")
        indexes = [models.Index(fields=("pool", "-ends_at"), name="pools_gap_pool_ends")]

    def __str__(self) -> str:
        return f"{self.pool.name}: not probed from {self.begins_at} to {self.ends_at}"


class ProbeSchedule(models.Model):
    """When a pool is probed; written when a round begins and when it ends.

    `next_at` is when something of it is due; who claims that does so under a lock, so that
    nothing is probed twice. `regular_at` is the next round of all its backends; those
    between up and down are due by themselves. `busy_until` is of a regular round that is
    under way: past its longest duration, as who claimed it may have died. `began_at` and
    `done_at` are of the last one that ended: verdicts of a pool whose rounds stopped are
    stale.
    """

    pool = models.OneToOneField(Pool, on_delete=models.CASCADE, related_name="schedule")
    next_at = models.DateTimeField(_("next at"), db_index=True)
    regular_at = models.DateTimeField(_("regular at"), null=True, blank=True)
    busy_until = models.DateTimeField(_("busy until"), null=True, blank=True)
    began_at = models.DateTimeField(_("began at"), null=True, blank=True)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)

    class Meta:
        verbose_name = _("probe schedule")

    def __str__(self) -> str:
        return f"{self.pool.name}: next at {self.next_at:%H:%M:%S}"
