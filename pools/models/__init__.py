from pools.models.backend import Backend
from pools.models.health import BackendHealth, HealthEvent, ProbeSchedule
from pools.models.pool import Pool
from pools.models.revision import PublishedState, Revision
from pools.models.route import Route

__all__ = [
    "Backend",
    "BackendHealth",
    "HealthEvent",
    "Pool",
    "ProbeSchedule",
    "PublishedState",
    "Revision",
    "Route",
]
