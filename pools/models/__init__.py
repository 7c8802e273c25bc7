from pools.models.config import Backend, Pool, Route
from pools.models.health import BackendHealth, HealthEvent, ProbeSchedule
from pools.models.revision import PublishedState, Revision

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
