"""The processes of a proxy, each as it last told of itself."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _

from pools.models.parts import choices


class ProcessKind(StrEnum):
    """gateway and web carry traffic, a worker probes, beat tells workers when."""

    GATEWAY = "gateway"
    WEB = "web"
    WORKER = "worker"
    BEAT = "beat"


class Process(models.Model):
    """One process; written by itself, every few seconds and when something of it changes.

    `name` is host:pid. `report` is what its kind tells, see pools.control.processes.
    """

    kind = models.CharField(max_length=8, choices=choices(ProcessKind))
    name = models.CharField(max_length=255)
    started_at = models.DateTimeField(_("started at"))
    seen_at = models.DateTimeField(_("seen at"))
    report = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("process")
        verbose_name_plural = _("processes")
        constraints = [
            models.UniqueConstraint(fields=("kind", "name"), name="pools_one_process"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
