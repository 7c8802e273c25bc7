"""System checks: a bad setting stops the start with one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from pools import conf

# Ids are kept for good: a new setting takes the next number, whatever its place in Conf.
IDS = {
    "POOLS_DATA_DIR": "pools.E001",
    "POOLS_TRUSTED_PROXIES": "pools.E002",
    "POOLS_ADMIN_HOST": "pools.E003",
    "POOLS_RESERVED_PATHS": "pools.E004",
    "POOLS_FALLTHROUGH": "pools.E005",
    "POOLS_VIA": "pools.E006",
    "POOLS_FORWARDED": "pools.E007",
    "POOLS_REDIS_URL": "pools.E008",
    "POOLS_POLL_INTERVAL_S": "pools.E009",
    "POOLS_PROBE_CONCURRENCY": "pools.E010",
    "POOLS_STAGED": "pools.E034",
    "POOLS_KEEP_REVISIONS": "pools.E011",
    "POOLS_KEEP_EVENTS": "pools.E012",
    "POOLS_KEEP_HISTORY_DAYS": "pools.E028",
    "POOLS_KEEP_AUDIT_DAYS": "pools.E030",
    "POOLS_KEEP_LATENCIES_DAYS": "pools.E027",
    "POOLS_CLIENT_HEADER_TIMEOUT_S": "pools.E013",
    "POOLS_CLIENT_BODY_TIMEOUT_S": "pools.E014",
    "POOLS_CLIENT_KEEPALIVE_S": "pools.E015",
    "POOLS_CLIENT_SEND_TIMEOUT_S": "pools.E016",
    "POOLS_DRAIN_TIMEOUT_S": "pools.E017",
    "POOLS_TUNNEL_DRAIN_TIMEOUT_S": "pools.E018",
    "POOLS_MAX_CONNECTIONS": "pools.E019",
    "POOLS_MAX_CONNECTIONS_PER_CLIENT": "pools.E020",
    "POOLS_MAX_HEADER_BYTES": "pools.E021",
    "POOLS_MAX_HEADER_FIELDS": "pools.E022",
    "POOLS_MAX_TARGET_BYTES": "pools.E023",
    "POOLS_ACCESS_LOG": "pools.E024",
    "POOLS_ACCESS_LOG_FORMAT": "pools.E025",
    "POOLS_CERTIFICATES": "pools.E026",
}


@register("pools")
def settings_hold(
    *, app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Every setting of ours that is wrong, by name."""
    found: list[CheckMessage] = []
    for spec in fields(conf.Conf):
        name = conf.setting(spec)
        try:
            conf.read(spec)
        except ValueError as error:
            found.append(Error(f"{name} is {error}", id=IDS[name]))
    if not settings.USE_TZ:
        # Local times are no measure of how long ago something was: some are had twice.
        found.append(Error("USE_TZ is False: set it to True", id="pools.E029"))
    return found
