"""Pools as rows: what the admin edits, and nothing that changes by itself."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from pools import site
from pools.core import document, rules
from pools.core.errors import Problem
from pools.models.parts import PartModel, choices

# The document's defaults, with a value for what has none.
_POOL = document.Pool(name="-")


def default_retry_on() -> list[str]:
    return [reason.value for reason in _POOL.retry.on]


class Pool(PartModel):
    part_kind = document.Pool

    name = models.CharField(
        _("name"),
        max_length=63,
        unique=True,
        help_text=_("Letters, digits, '.', '_' and '-'; routes and files name the pool by it."),
    )
    tags = models.JSONField(
        _("tags"),
        blank=True,
        default=list,
        help_text=_("Words to find it by; nothing is routed by them."),
    )
    policy = models.CharField(
        _("policy"),
        max_length=32,
        choices=choices(document.Policy),
        default=_POOL.policy.value,
        help_text=_("How a backend is chosen for a request."),
    )
    hash_on = models.CharField(
        _("hash on"),
        max_length=32,
        choices=choices(document.HashOn),
        default=_POOL.hash.on.value,
        help_text=_("For consistent hash: what of a request decides its backend."),
    )
    hash_name = models.CharField(
        _("hashed name"),
        blank=True,
        default=_POOL.hash.name,
        help_text=_("The header or cookie to hash."),
    )
    hash_balance_factor = models.IntegerField(
        _("balance factor (%)"),
        default=_POOL.hash.balance_factor,
        help_text=_(
            "No backend takes more than this percentage of its fair share of requests "
            "in flight: 101 to 1000, or 0 for no bound."
        ),
    )
    sticky_mode = models.CharField(
        _("stickiness"),
        max_length=16,
        choices=choices(document.StickyMode),
        default=_POOL.sticky.mode.value,
        help_text=_("Cookie: a signed cookie keeps a client on its backend."),
    )
    sticky_cookie = models.CharField(
        _("cookie name"),
        blank=True,
        default=_POOL.sticky.cookie,
        help_text=_('Empty: "proxysite_" and the pool\'s name. It never reaches backends.'),
    )
    sticky_ttl_s = models.IntegerField(
        _("cookie life (s)"),
        default=_POOL.sticky.ttl_s,
        help_text=_("Seconds; 0: until the browser is closed."),
    )
    sticky_same_site = models.CharField(
        _("cookie SameSite"),
        max_length=16,
        choices=choices(document.SameSite),
        default=_POOL.sticky.same_site.value,
        help_text=_("Whether the cookie goes with requests from other sites."),
    )
    sticky_secure = models.CharField(
        _("cookie Secure"),
        max_length=16,
        choices=choices(document.CookieSecure),
        default=_POOL.sticky.secure.value,
        help_text=_("Auto: Secure when the client came by https."),
    )
    sticky_http_only = models.BooleanField(
        _("cookie HttpOnly"),
        default=_POOL.sticky.http_only,
        help_text=_("Scripts in pages cannot read the cookie."),
    )
    sticky_while_draining = models.BooleanField(
        _("stay while draining"),
        default=_POOL.sticky.while_draining,
        help_text=_("Clients that hold the cookie stay on a draining backend."),
    )
    host_mode = models.CharField(
        _("Host"),
        max_length=16,
        choices=choices(document.HostMode),
        default=_POOL.host.mode.value,
        help_text=_(
            "The Host that backends get: the client's own (preserve), the backend's, "
            "or a fixed one."
        ),
    )
    host_value = models.CharField(
        _("fixed Host"),
        blank=True,
        default=_POOL.host.value,
        help_text=_("For a fixed Host: name, or name:port."),
    )
    connect_timeout_s = models.FloatField(
        _("connect time-out (s)"),
        default=_POOL.connect_timeout_s,
        help_text=_("Seconds to make a connection to a backend."),
    )
    response_timeout_s = models.FloatField(
        _("response time-out (s)"),
        default=_POOL.response_timeout_s,
        help_text=_("Seconds that a backend may be silent, before and within its answer."),
    )
    exchange_timeout_s = models.FloatField(
        _("exchange time-out (s)"),
        default=_POOL.exchange_timeout_s,
        help_text=_("Seconds for the whole exchange with its retries; 0: no bound."),
    )
    tunnel_timeout_s = models.FloatField(
        _("tunnel time-out (s)"),
        default=_POOL.tunnel_timeout_s,
        help_text=_("Seconds that both sides of an upgraded connection may be silent."),
    )
    retry_attempts = models.IntegerField(
        _("attempts"),
        default=_POOL.retry.attempts,
        help_text=_("Tries for one request, the first one counted: 1 to 10."),
    )
    retry_on = models.JSONField(
        _("retry on"),
        blank=True,
        default=default_retry_on,
        help_text=format_lazy(
            _("What may be tried again on another backend: {kinds}."),
            kinds=", ".join(document.RetryOn),
        ),
    )
    retry_non_idempotent = models.BooleanField(
        _("retry non-idempotent methods"),
        default=_POOL.retry.non_idempotent,
        help_text=_(
            "POST and PATCH may be sent again even after a backend got them; it may "
            "then act on them twice."
        ),
    )
    max_in_flight = models.IntegerField(
        _("max in flight"),
        default=_POOL.max_in_flight,
        help_text=_("Requests that each backend serves at a time; 0: no limit."),
    )
    max_queue = models.IntegerField(
        _("longest queue"),
        default=_POOL.max_queue,
        help_text=_(
            "Requests of a gateway process that wait while all backends are full; "
            "0: none, the answer is 503 at once."
        ),
    )
    queue_timeout_s = models.FloatField(
        _("queue time-out (s)"),
        default=_POOL.queue_timeout_s,
        help_text=_("Seconds that a request waits for a backend before the answer is 503."),
    )
    keepalive_connections = models.IntegerField(
        _("idle connections"),
        default=_POOL.keepalive_connections,
        help_text=_(
            "Connections to each backend that a process keeps for later requests; 0: none."
        ),
    )
    keepalive_s = models.FloatField(
        _("idle time (s)"),
        default=_POOL.keepalive_s,
        help_text=_("Seconds that an idle connection is kept: less than backends keep it."),
    )
    tls_verify = models.BooleanField(
        _("verify certificates"),
        default=_POOL.tls.verify,
        help_text=_("For https backends: refuse a certificate that is not valid for the host."),
    )
    tls_ca = models.TextField(
        _("CA certificates"),
        blank=True,
        default=_POOL.tls.ca,
        help_text=_("PEM; empty: the system's."),
    )
    tls_server_name = models.CharField(
        _("TLS server name"),
        blank=True,
        default=_POOL.tls.server_name,
        help_text=_("The name asked for (SNI) and checked; empty: the backend's host."),
    )
    passive_failures = models.IntegerField(
        _("failures to eject"),
        default=_POOL.passive.failures,
        help_text=_(
            "Consecutive failed requests after which a backend is left out for a "
            "while; 0: never."
        ),
    )
    passive_base_ejection_s = models.FloatField(
        _("base ejection (s)"),
        default=_POOL.passive.base_ejection_s,
        help_text=_("Seconds of the first ejection; it grows with each that follows."),
    )
    passive_max_ejected_percent = models.IntegerField(
        _("largest share ejected (%)"),
        default=_POOL.passive.max_ejected_percent,
        help_text=_("Percentage of the pool that may be ejected at a time."),
    )
    passive_panic_percent = models.IntegerField(
        _("panic threshold (%)"),
        default=_POOL.passive.panic_percent,
        help_text=_(
            "When less than this percentage of the pool is healthy, health is ignored "
            "rather than requests refused; 0: never."
        ),
    )
    slow_start_s = models.FloatField(
        _("slow start (s)"),
        default=_POOL.slow_start_s,
        help_text=_(
            "Seconds in which a backend that came back grows to its full share; 0: none."
        ),
    )
    probe_kind = models.CharField(
        _("probe"),
        max_length=16,
        choices=choices(document.ProbeKind),
        default=_POOL.probe.kind.value,
        help_text=_(
            "HTTP: status and text of an answer. TCP: a connection, and what is sent and "
            "expected on it. TLS: a handshake."
        ),
    )
    probe_method = models.CharField(
        _("probe method"), default=_POOL.probe.method, help_text=_("GET or HEAD, as a rule.")
    )
    probe_path = models.CharField(
        _("probe path"), default=_POOL.probe.path, help_text=_("Path, with its query if any.")
    )
    probe_host = models.CharField(
        _("probe Host"),
        blank=True,
        default=_POOL.probe.host,
        help_text=_("The Host that probes send; empty: the backend's."),
    )
    probe_port = models.IntegerField(
        _("probe port"), default=_POOL.probe.port, help_text=_("0: the backend's port.")
    )
    probe_statuses = models.CharField(
        _("expected statuses"),
        default=_POOL.probe.statuses,
        help_text=_("Statuses of a healthy backend, such as 200-399,418."),
    )
    probe_headers = models.JSONField(
        _("probe headers"),
        blank=True,
        default=dict,
        help_text=_("Sent with HTTP probes."),
    )
    probe_text = models.TextField(
        _("expected text"),
        blank=True,
        default=_POOL.probe.text,
        help_text=_("Text that the answer must hold; empty: any."),
    )
    probe_json_path = models.CharField(
        _("JSON path"),
        blank=True,
        default=_POOL.probe.json_path,
        help_text=_("Where in a JSON answer to look, such as checks.0.status; empty: nowhere."),
    )
    probe_json_value = models.TextField(
        _("JSON value"),
        blank=True,
        default=_POOL.probe.json_value,
        help_text=_("What must stand there: text, number, true, false or null."),
    )
    probe_body_bytes = models.IntegerField(
        _("body limit (bytes)"),
        default=_POOL.probe.body_bytes,
        help_text=_("So much of an answer is read for the expected text or JSON."),
    )
    probe_follow_redirects = models.BooleanField(
        _("follow redirects"),
        default=_POOL.probe.follow_redirects,
        help_text=_("On the same backend; otherwise a redirect is an answer like others."),
    )
    probe_send = models.TextField(
        _("send"),
        blank=True,
        default=_POOL.probe.send,
        help_text=_(r"For TCP: what is sent first, such as PING\r\n; empty: nothing."),
    )
    probe_expect = models.TextField(
        _("expect"),
        blank=True,
        default=_POOL.probe.expect,
        help_text=_(r"For TCP: what the backend must then say, such as +PONG; empty: nothing."),
    )
    probe_certificate_days = models.IntegerField(
        _("certificate days"),
        default=_POOL.probe.certificate_days,
        help_text=_("Warn when a backend's certificate has fewer days left; 0: never."),
    )
    probe_interval_s = models.FloatField(
        _("probe interval (s)"),
        default=_POOL.probe.interval_s,
        help_text=_("Seconds from one probe of a backend to the next; 1 or more."),
    )
    probe_fast_interval_s = models.FloatField(
        _("fast interval (s)"),
        default=_POOL.probe.fast_interval_s,
        help_text=_(
            "Seconds between probes while a backend is between up and down; 0: as ever."
        ),
    )
    probe_down_interval_s = models.FloatField(
        _("down interval (s)"),
        default=_POOL.probe.down_interval_s,
        help_text=_("Seconds between probes of a backend that is down; 0: as ever."),
    )
    probe_timeout_s = models.FloatField(
        _("probe time-out (s)"),
        default=_POOL.probe.timeout_s,
        help_text=_("Seconds for a whole probe; not longer than the interval."),
    )
    probe_rise = models.IntegerField(
        _("rise"),
        default=_POOL.probe.rise,
        help_text=_("Consecutive successes after which a backend is up."),
    )
    probe_fall = models.IntegerField(
        _("fall"),
        default=_POOL.probe.fall,
        help_text=_("Consecutive failures after which a backend is down."),
    )

    team = models.ForeignKey(
        "pools.Team",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="pools",
        verbose_name=_("team"),
        help_text=_("Who sees and changes it; empty: who is in no team."),
    )

    class Meta:
        verbose_name = _("pool")
        verbose_name_plural = _("pools")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def part_problems(self, part: document.Pool) -> Iterator[Problem]:
        yield from rules.pool_problems(part)
        yield from site.pool_problems(part)
