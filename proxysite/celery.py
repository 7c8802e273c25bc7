"""Celery: beat sends a tick each second, workers do what is due.

Ticks carry no data and may be lost: what is due is claimed in the database. They expire
before they can pile up where no worker runs.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxysite.settings")
# They load the admin, which nothing here shows, and what they find is told nobody.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

from django.conf import settings

from pools.schedule import SCHEDULE
from proxysite import broker


def _broker() -> dict[str, Any]:
    """Redis where there is one, or else files in the data folder."""
    if url := settings.POOLS_REDIS_URL:
        if url.startswith("unix:"):
            # kombu's own words for what redis-py, which wakes processes, calls unix and db.
            url = re.sub(r"(?<=[?&])db=", "virtual_host=", url)
            url = "redis+socket" + url.removeprefix("unix")
        return {"broker_url": url}
    messages, control = settings.BROKER_DIR / "messages", settings.BROKER_DIR / "control"
    return {
        "broker_url": f"{broker.SCHEME}://localhost",
        "broker_transport_options": {
            # One folder for both directions: what beat writes is what workers read.
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
            "polling_interval": 0.5,
        },
    }


app = Celery("proxysite")
app.conf.update(
    **_broker(),
    broker_connection_retry_on_startup=True,
    worker_consumer="proxysite.workers:Consumer",  # Redis may be away for long
    worker_cancel_long_running_tasks_on_connection_loss=True,  # or else it warns
    worker_pool="threads",
    # Ticks overlap where backends are slow to answer: each waits in a thread of its own.
    worker_concurrency=16,
    worker_redirect_stdouts=False,
    worker_send_task_events=False,
    task_default_queue="proxysite",
    task_ignore_result=True,
    result_expires=None,
    timezone="UTC",
    # Kept in memory: an entry that is due each second has nothing to remember, and
    # a schedule file would be one more thing that a kill can break.
    beat_scheduler="proxysite.workers:Beat",
    beat_schedule=SCHEDULE,
)
app.autodiscover_tasks(["pools"])


@signals.setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """Logging is as settings.LOGGING has it: with a receiver here, Celery leaves it alone."""


@signals.after_task_publish.connect
@signals.task_postrun.connect
def alive(signal: object, **kwargs: Any) -> None:
    """Touch a file that health checks look at: "beat" when sending, "worker" when done."""
    name = "beat" if signal is signals.after_task_publish else "worker"
    with suppress(OSError):  # then it looks dead, which it is as good as
        Path(settings.DATA_DIR, f"{name}.alive").touch()
