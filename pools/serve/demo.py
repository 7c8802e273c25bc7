"""Three demo backends, and once a pool and a route for them."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from pools.control import compile, publish
from pools.control.apply import apply
from pools.core.document import Backend, Document, Pool, Probe, Route
from pools.models import Revision
from pools.serve.echo import HOST
from pools.serve.supervisor import Program

WHO = "serve --demo"
NAME = "demo"
PREFIX = "/demo"
COUNT = 3
FIRST_PORT = 9001
# Long enough to watch the pool's health turn, and to see it turn back.
AWAY_S = 60.0


def ports(first: int) -> list[int]:
    """Where the backends listen: free ports from `first` on, and the same ones each time,
    once there is a pool.

    The first call makes the pool and the route. It leaves a revision, by which later ones
    know that it was done: what an operator changed or deleted since stays so.
    """
    made = Revision.objects.filter(who=WHO).order_by("number").first()
    if made:
        return _ports_of(made)
    found = [port for _, port in zip(range(COUNT), _free_ports(first), strict=False)]
    with publish.change(who=WHO, why="the first start with --demo"):
        document = compile.document()
        pools = {pool.name for pool in document.pools}
        if NAME not in pools | {route.name for route in document.routes}:
            apply(_with_demo(document, found))
    return found


def programs(at: Sequence[int]) -> list[Program]:
    return [
        Program(
            name=f"{NAME}-{number}",
            argv=(sys.executable, "-m", "pools.serve.echo", f"{NAME}-{number}", str(port)),
            stage=1,  # after the web processes, whose last requests they answer
            first_delay_s=AWAY_S,
            last_delay_s=AWAY_S,
        )
        for number, port in enumerate(at, start=1)
    ]


def wait(at: Sequence[int], *, within_s: float) -> None:
    """Until the backends listen, or the time is over."""
    until = time.monotonic() + within_s
    for port in at:
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection((HOST, port), 0.5):
                break
            time.sleep(0.02)


def _with_demo(document: Document, at: Sequence[int]) -> Document:
    pool = Pool(
        name=NAME,
        probe=Probe(interval_s=2.0, timeout_s=1.0),
        backends=tuple(Backend(host=HOST, port=port) for port in at),
    )
    route = Route(name=NAME, pool=NAME, path_prefix=PREFIX)
    return replace(document, pools=(*document.pools, pool), routes=(*document.routes, route))


def _ports_of(revision: Revision) -> list[int]:
    for pool in revision.document["pools"]:
        if pool["name"] == NAME:
            return [backend["port"] for backend in pool["backends"]]
    return []


def _free_ports(first: int) -> Iterator[int]:
    for port in range(first, 65_536):
        with suppress(OSError), closing(socket.create_server((HOST, port))):
            yield port
