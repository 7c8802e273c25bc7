"""The console: pools, backends, routing rules and what happened, in Django's admin.

Imported by the admin's autodiscovery alone, so that the app works without an admin too.
"""

from pools.admin import backend, history, pool, route

__all__ = ["backend", "history", "pool", "route"]
