"""The console in Django's admin: pools, backends, routing rules, alerts and what happened.

Imported by the admin's autodiscovery alone, so that the app works without an admin too.
"""

from pools.admin import (
    alerts,
    audit,
    backend,
    channel,
    drafts,
    history,
    pool,
    revisions,
    route,
    teams,
)

__all__ = [
    "alerts",
    "audit",
    "backend",
    "channel",
    "drafts",
    "history",
    "pool",
    "revisions",
    "route",
    "teams",
]
