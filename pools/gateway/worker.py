"""A worker of the gateway: one process, one uvloop loop, under gunicorn's arbiter.

Rules:
- Nothing that is away stops it from starting: the configuration may come from the last good
  file, or later.
- SIGTERM drains: it accepts no more, closes idle connections, serves those that have just
  connected, and lets requests and tunnels finish, each within their time. SIGINT and
  SIGQUIT end it at once; SIGUSR1 opens the access log anew.
- A worker whose master is gone drains by itself.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import shutil
import signal
import socket
import sys
import time
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

import uvloop
from gunicorn.workers.base import Worker  # type: ignore[import-untyped]

from pools import site
from pools.conf import Conf
from pools.control import counting, watch
from pools.core.counters import Counters
from pools.core.engine import Engine
from pools.core.errors import PoolsError
from pools.gateway import accepting, certificates, status
from pools.gateway.access_log import AccessLog
from pools.gateway.arbiter import Plan
from pools.gateway.gateway import Gateway
from pools.gateway.listening import BACKLOG, Kind, Listener
from pools.models.process import ProcessKind

logger = logging.getLogger("pools.gateway")

HEARTBEAT_S = 1.0
DRAIN_TICK_S = 0.05
# Who asks one thing after the other learns from an answer that its connection ends, before
# idle connections are closed.
HEARD_S = 0.5
MOST_FILES = 1_048_576
# One turn of the loop makes some dozens for each request, and they go by themselves: at
# Python's 700 the collector would look at those of requests under way again and again.
YOUNG_OBJECTS = 5_000


class Server(Protocol):
    """What accepts on a listener."""

    def close(self) -> None: ...


class GatewayWorker(Worker):  # type: ignore[misc]
    """`made_at` and `retire_by` are the master's, on time.monotonic(): when it began, and until
    when a worker that drains may go on; None for one that stays."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made_at = time.monotonic()
        self.retire_by: float | None = None

    def init_signals(self) -> None:
        """Until the loop runs and takes over what it needs, to end is to end, and what is
        the master's alone is ignored."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGABRT, self.handle_abort)

    def run(self) -> None:
        _raise_file_limit()
        sys.unraisablehook = certificates.without_bad_names(sys.unraisablehook)
        ends = self.app.plan.certificates.ends if self.app.plan.certificates else list
        public = [one for one in self.app.plan.listeners if one.kind is not Kind.STATUS]
        watch.tell_as(ProcessKind.GATEWAY, ends, [str(one) for one in public])
        engine = watch.engine()
        # What was made until now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run(self.app.plan, engine))

    async def _run(self, plan: Plan, engine: Engine) -> None:
        loop = asyncio.get_running_loop()
        told_to_drain, told_to_quit = asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, told_to_drain.set)
        for number in (signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, told_to_quit.set)
        access_log = _access_log(plan.conf)
        gateway = Gateway(
            engine,
            rules=site.header_rules(),
            conf=plan.conf,
            loop=loop,
            counters=Counters(),
            access_log=access_log,
            loaded=watch.loaded,
        )
        if access_log:
            loop.add_signal_handler(signal.SIGUSR1, access_log.reopen)
            gateway.on_sweep.append(access_log.flush)
        if plan.certificates:
            gateway.on_sweep.append(plan.certificates.refresh)
        counting.count_from(counting.Source(gateway.counters, lambda: gateway.connections))
        gateway.start()
        public, private = await self._serve(plan, gateway)
        beating = asyncio.create_task(self._beat(told_to_drain))

        async def drain() -> None:
            await told_to_drain.wait()
            for server in public:
                server.close()
            gateway.draining = True  # answers say that their connection ends
            await asyncio.sleep(HEARD_S)
            await _drain(gateway, plan.conf)

        ways = [asyncio.create_task(drain()), asyncio.create_task(told_to_quit.wait())]
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for server in (*public, *private):
            server.close()
        await gateway.close()
        if access_log:
            access_log.close()
        if os.getppid() != self.ppid:  # the master, whose folder it is, was killed
            shutil.rmtree(self.app.run_folder, ignore_errors=True)
        beating.cancel()
        for way in done:
            way.result()

    async def _serve(self, plan: Plan, gateway: Gateway) -> tuple[list[Server], list[Server]]:
        """What accepts the public's connections, and what tells the operator, to the end."""
        public: list[Server] = []
        private: list[Server] = []
        for listener in plan.listeners:
            if listener.kind is Kind.STATUS:
                folder = self.app.run_folder
                private.append(
                    await status.serve(
                        listener.sock, gateway, folder, plan.certificates, watch.probing
                    )
                )
            else:
                public.append(await _accept(listener, plan, gateway))
        return public, private

    async def _beat(self, orphaned: asyncio.Event) -> None:
        """Tell the master that the loop turns, for as long as it does."""
        while True:
            self.notify()
            if os.getppid() != self.ppid:
                orphaned.set()
            await asyncio.sleep(HEARTBEAT_S)


async def _accept(listener: Listener, plan: Plan, gateway: Gateway) -> Server:
    loop = asyncio.get_running_loop()
    context = None
    if listener.kind is Kind.HTTPS:
        assert plan.certificates
        context = plan.certificates.context

    def tells(peer: str) -> bool:
        # Who reaches a Unix socket, which has no address, is the operator's own choice.
        return plan.proxy_protocol and (not peer or gateway.rules.trusts(peer))

    if plan.proxy_protocol or context:
        scheme = listener.kind.value
        return accepting.Listener(loop, listener.sock, gateway, tells, scheme, context)
    unix = listener.sock.family == socket.AF_UNIX
    create: Any = loop.create_unix_server if unix else loop.create_server
    server: Server = await create(
        partial(gateway.protocol, scheme=listener.kind.value),
        sock=listener.sock,
        backlog=BACKLOG,
    )
    return server


async def _drain(gateway: Gateway, conf: Conf) -> None:
    """Until all that is under way has ended, or its time has."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    gateway.drain()
    ends = (
        (conf.drain_timeout_s, gateway.cut_exchanges),
        (conf.tunnel_drain_timeout_s, gateway.cut_tunnels),
    )
    for grace_s, cut in sorted(ends, key=itemgetter(0)):
        while not gateway.drained and clock() < begun + grace_s:
            await asyncio.sleep(DRAIN_TICK_S)
        cut()


def _access_log(conf: Conf) -> AccessLog | None:
    """The master has seen that it can be written; if it no longer can, traffic goes on."""
    if not conf.access_log:
        return None
    try:
        return AccessLog(conf.access_log, conf.access_log_format)
    except PoolsError as error:
        logger.error("%s", error)
        return None


def _raise_file_limit() -> None:
    """Each connection is a file: have as many as this process may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
