from pools.models.backend import Backend
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

__all__ = [
    "Backend",
    "BackendHealth",
    "HealthEvent",
    "LatencyBucket",
    "Pool",
    "ProbeGap",
    "ProbeSchedule",
    "Process",
    "PublishedState",
    "Revision",
    "Route",
]
