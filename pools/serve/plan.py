"""The programs of a proxy: gateway, web, worker and beat, with how each is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from django.conf import settings

from pools.gateway.listening import FD, OPTION, Kind, Listener
from pools.serve.supervisor import Program

DRAIN_S = 35.0  # more than gunicorn takes to finish what is under way
PROJECT = settings.WSGI_APPLICATION.partition(".")[0]


def gateway(
    listeners: Sequence[Listener], arguments: Sequence[str], *, grace_s: float
) -> Program:
    """The gateway on sockets that are open already.

    They are the supervisor's, so that connections wait in them, instead of being refused,
    while the gateway starts again. `arguments` are those for `manage.py gateway` beside.
    """
    argv = [sys.executable, "-m", "django", "gateway", *arguments]
    if all(listener.kind is not Kind.STATUS for listener in listeners):
        argv += ["--status-bind", ""]
    for listener in listeners:
        argv += [OPTION[listener.kind], f"{FD}{listener.fileno()}"]
    return Program(
        name="gateway",
        argv=tuple(argv),
        stop_within_s=grace_s + 1,
        pass_fds=tuple(listener.fileno() for listener in listeners),
    )


def web(listener: int, *, workers: int, threads: int) -> Program:
    """gunicorn for the admin, on a socket that is the supervisor's too."""
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
        # The gateway carries the traffic; web processes serve the admin alone.
        "WEB_PROXY": os.environ.get("WEB_PROXY", "false"),
        "PYTHONUNBUFFERED": "1",
    }
