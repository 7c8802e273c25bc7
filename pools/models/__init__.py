from pools.models.access import AuditEntry, Role, Team
from pools.models.alert import Alert, Delivery, Evaluation, Telling
from pools.models.backend import Backend
from pools.models.channel import Channel
from pools.models.draft import Draft
from pools.models.health import (
    BackendHealth,
    HealthEvent,
    LatencyBucket,
    ProbeGap,
    ProbeSchedule,
)
from pools.models.pool import Pool
from pools.models.process import Process
from pools.models.revision import PublishedState, Revision
from pools.models.route import Route
from pools.models.traffic import TrafficBucket, TrafficNow

__all__ = [
    "Alert",
    "AuditEntry",
    "Backend",
    "BackendHealth",
    "Channel",
    "Delivery",
    "Draft",
    "Evaluation",
    "HealthEvent",
    "LatencyBucket",
    "Pool",
    "ProbeGap",
    "ProbeSchedule",
    "Process",
    "PublishedState",
    "Revision",
    "Role",
    "Route",
    "Team",
    "Telling",
    "TrafficBucket",
    "TrafficNow",
]
