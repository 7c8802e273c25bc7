"""The project's settings, with quicker looks for changes."""

from proxysite.settings import *  # noqa: F403

POOLS_POLL_INTERVAL_S = 0.1
