"""Backends as rows; what is known of their health stands apart."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils.translation import gettext_lazy as _

from pools.core import document, fields
from pools.models.parts import PartModel, choices
from pools.models.pool import Pool

# The document's defaults, with a value for what has none.
_BACKEND = document.Backend(host="localhost")


class Backend(PartModel):
    part_kind = document.Backend
    identity = ("pool", "host", "port")

    pool = models.ForeignKey(
        Pool, verbose_name=_("pool"), on_delete=models.CASCADE, related_name="backends"
    )
    host = models.CharField(
        _("host"),
        max_length=253,
        help_text=_(
            "Name or IP address, without scheme and port; or unix:/ and the path of a socket."
        ),
    )
    port = models.IntegerField(
        _("port"),
        blank=True,
        default=_BACKEND.port,
        help_text=_("1 to 65535; none for a Unix socket."),
    )
    scheme = models.CharField(
        _("scheme"),
        max_length=8,
        choices=choices(document.Scheme),
        default=_BACKEND.scheme.value,
    )
    weight = models.IntegerField(
        _("weight"),
        default=_BACKEND.weight,
        help_text=_(
            "Share of requests in proportion to the other backends: 0 to 256; 0: no "
            "new requests."
        ),
    )
    backup = models.BooleanField(
        _("backup"),
        default=_BACKEND.backup,
        help_text=_("Gets requests only when no other backend of the pool is available."),
    )
    state = models.CharField(
        _("admin state"),
        max_length=8,
        choices=choices(document.AdminState),
        default=_BACKEND.state.value,
        help_text=_(
            "Drain: no new requests, those in flight finish. Maint: no requests and no probes."
        ),
    )
    max_in_flight = models.IntegerField(
        _("max in flight"),
        null=True,
        blank=True,
        default=_BACKEND.max_in_flight,
        help_text=_("Requests served at a time; empty: the pool's, 0: no limit."),
    )

    class Meta:
        verbose_name = _("backend")
        verbose_name_plural = _("backends")
        ordering = ("pool__name", "host", "port")
        permissions = [("operate_backend", "Can set state and weight, and probe")]
        constraints = [
            models.UniqueConstraint(
                fields=("pool", "host", "port"),
                name="pools_backend_address",
                violation_error_message=_("This host and port is in the pool already."),
            )
        ]

    def __str__(self) -> str:
        return self.key

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; what was found at another address is no longer known."""
        columns = ("pool", "host", "port", "scheme")
        rows = Backend.objects.filter(pk=self.pk).order_by().values_list(*columns)
        before = None if self._state.adding else rows.first()
        super().save(*args, **kwargs)
        if before and before != (self.pool_id, self.host, self.port, self.scheme):
            with suppress(ObjectDoesNotExist):
                self.health.delete()

    @property
    def address(self) -> str:
        """host:port, with an IPv6 host in brackets, or unix:/path."""
        return fields.host_port(self.host, self.port)

    @property
    def key(self) -> str:
        """The stable id of the backend everywhere: "web/10.0.0.1:8000"."""
        return f"{self.pool.name}/{self.address}"
