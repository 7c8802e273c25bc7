"""Routes as rows, which the admin calls routing rules."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from pools import site
from pools.core import document, rules
from pools.core.errors import Problem
from pools.models.parts import PartModel, choices
from pools.models.pool import Pool

# The document's defaults, with values for what has none.
_ROUTE = document.Route(name="-", pool="-")


def default_upgrades() -> list[str]:
    return list(_ROUTE.upgrades)


class Route(PartModel):
    part_kind = document.Route

    name = models.CharField(
        _("name"), max_length=63, unique=True, help_text=_("Letters, digits, '.', '_' and '-'.")
    )
    pool = models.ForeignKey(
        Pool, verbose_name=_("pool"), on_delete=models.PROTECT, related_name="routes"
    )
    tags = models.JSONField(
        _("tags"),
        blank=True,
        default=list,
        help_text=_("Words to find it by; nothing is routed by them."),
    )
    enabled = models.BooleanField(_("enabled"), default=_ROUTE.enabled)
    hosts = models.JSONField(
        _("hosts"),
        blank=True,
        default=list,
        help_text=_(
            "Host names: app.example.com, or *.example.com for all below it; empty: any host."
        ),
    )
    path_prefix = models.CharField(
        _("path prefix"),
        default=_ROUTE.path_prefix,
        help_text=_("/api takes /api and all below it, not /apix. The longest prefix wins."),
    )
    methods = models.JSONField(
        _("methods"), blank=True, default=list, help_text=_("Methods, such as GET; empty: any.")
    )
    conditions = models.JSONField(
        _("conditions"),
        blank=True,
        default=list,
        help_text=format_lazy(
            _(
                "Tests of request headers that must all hold: header, match ({tests}) "
                "and value."
            ),
            tests=", ".join(document.Match),
        ),
    )
    prefix_mode = models.CharField(
        _("prefix"),
        max_length=16,
        choices=choices(document.PrefixMode),
        default=_ROUTE.prefix_mode.value,
        help_text=_("What becomes of the prefix on the way to the backend."),
    )
    prefix_replacement = models.CharField(
        _("replacement"),
        blank=True,
        default=_ROUTE.prefix_replacement,
        help_text=_("For replace: the prefix that the backend gets instead."),
    )
    request_headers_set = models.JSONField(
        _("request headers to set"),
        blank=True,
        default=dict,
        help_text=_("Name: value; replaces what the client sent."),
    )
    request_headers_remove = models.JSONField(
        _("request headers to remove"), blank=True, default=list, help_text=_("Names.")
    )
    response_headers_set = models.JSONField(
        _("response headers to set"),
        blank=True,
        default=dict,
        help_text=_("Name: value; replaces what the backend sent."),
    )
    response_headers_remove = models.JSONField(
        _("response headers to remove"), blank=True, default=list, help_text=_("Names.")
    )
    max_body_bytes = models.BigIntegerField(
        _("largest body (bytes)"),
        default=_ROUTE.max_body_bytes,
        help_text=_("Bytes of a request's body, above which the answer is 413; 0: no limit."),
    )
    upgrades = models.JSONField(
        _("upgrades"),
        blank=True,
        default=default_upgrades,
        help_text=_("Protocols that clients may upgrade to, such as websocket; empty: none."),
    )
    connect_timeout_s = models.FloatField(
        _("connect time-out (s)"),
        null=True,
        blank=True,
        help_text=_("Seconds; empty: the pool's."),
    )
    response_timeout_s = models.FloatField(
        _("response time-out (s)"),
        null=True,
        blank=True,
        help_text=_("Seconds; empty: the pool's."),
    )
    exchange_timeout_s = models.FloatField(
        _("exchange time-out (s)"),
        null=True,
        blank=True,
        help_text=_("Seconds; empty: the pool's, 0: no bound."),
    )
    tunnel_timeout_s = models.FloatField(
        _("tunnel time-out (s)"),
        null=True,
        blank=True,
        help_text=_("Seconds; empty: the pool's."),
    )

    team = models.ForeignKey(
        "pools.Team",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="routes",
        verbose_name=_("team"),
        help_text=_("Who sees and changes it; empty: who is in no team."),
    )

    class Meta:
        verbose_name = _("routing rule")
        verbose_name_plural = _("routing rules")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def part_problems(self, part: document.Route) -> Iterator[Problem]:
        yield from rules.route_problems(part)
        yield from site.route_problems(part)
