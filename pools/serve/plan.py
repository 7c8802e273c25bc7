"""The programs of a proxy: web, worker and beat, with how each is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.conf import settings

from pools import conf
from pools.serve.supervisor import Program

# Ticks overlap where backends are slow to answer: each waits in a thread of its own.
WORKER_THREADS = 16
DRAIN_S = 30


def web(listener: int, *, workers: int, threads: int) -> Program:
    """gunicorn on a socket that is open already.

    The socket is the supervisor's, so that connections wait in it, instead of being
    refused, while gunicorn starts again.
    """
    module, _, attribute = settings.WSGI_APPLICATION.rpartition(".")
    trusted = ",".join(str(network) for network in conf.current().trusted_proxies)
    argv = (
        *(sys.executable, "-m", "gunicorn", f"{module}:{attribute}"),
        *("--bind", f"fd://{listener}"),
        *("--worker-class", "gthread"),
        *("--workers", str(workers)),
        *("--threads", str(threads)),
        *("--forwarded-allow-ips", trusted),
        *("--limit-request-line", "8190"),
        *("--keep-alive", "30"),
        *("--graceful-timeout", str(DRAIN_S)),
        *("--worker-tmp-dir", _memory()),
        "--no-control-socket",
        *("--log-level", "warning"),
    )
    return Program(name="web", argv=argv, stop_within_s=DRAIN_S + 5.0, pass_fds=(listener,))


def celery() -> list[Program]:
    """The worker that probes, and beat that tells it when."""
    project = settings.WSGI_APPLICATION.partition(".")[0]
    # Where it is run as root, that is the operator's choice; a dozen lines add nothing.
    quiet = ("-W", "ignore:You're running the worker with superuser privileges")
    base = (sys.executable, *quiet, "-m", "celery", "--quiet", "-A", project)
    pool = ("--pool", "threads", "--concurrency", str(WORKER_THREADS))
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [
        Program(name="worker", argv=(*base, "worker", *pool, *alone)),
        Program(name="beat", argv=(*base, "beat", "--pidfile=")),
    ]


def environment() -> dict[str, str]:
    """What the programs find in their environment: the project, wherever they run."""
    folders = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        "PYTHONUNBUFFERED": "1",
    }


def _memory() -> str:
    """A folder in memory for gunicorn's heartbeats, which a slow disk would delay."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(Path(settings.DATA_DIR))
