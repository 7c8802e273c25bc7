"""The programs of a proxy: web, worker and beat, with how each is started."""

from __future__ import annotations

import os
import sys

from django.conf import settings

from pools.serve.supervisor import Program

DRAIN_S = 35.0  # more than gunicorn takes to finish what is under way
PROJECT = settings.WSGI_APPLICATION.partition(".")[0]


def web(listener: int, *, workers: int, threads: int) -> Program:
    """gunicorn on a socket that is open already.

    The socket is the supervisor's, so that connections wait in it, instead of being
    refused, while gunicorn starts again.
    """
    argv = (
        *(sys.executable, "-m", "gunicorn", "--config", f"python:{PROJECT}.gunicorn"),
        *("--bind", f"fd://{listener}"),
        *("--workers", str(workers), "--threads", str(threads)),
    )
    return Program(name="web", argv=argv, stop_within_s=DRAIN_S, pass_fds=(listener,))


def celery() -> list[Program]:
    """The worker that probes, and beat that tells it when."""
    # Where it is run as root, that is the operator's choice; a dozen lines add nothing.
    quiet = ("-W", "ignore:You're running the worker with superuser privileges")
    base = (sys.executable, *quiet, "-m", "celery", "--quiet", "-A", PROJECT)
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [
        Program(name="worker", argv=(*base, "worker", *alone)),
        Program(name="beat", argv=(*base, "beat")),
    ]


def environment() -> dict[str, str]:
    """What the programs find in their environment: the project, wherever they run."""
    folders = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        "PYTHONUNBUFFERED": "1",
    }
