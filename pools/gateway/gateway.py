"""What the connections of one gateway process share, and the sweep that bounds them in time.

Rules:
- One event loop, one thread; the engine alone is changed from another.
- There is no timer for each connection: every SWEEP_S all are looked at, so that time-outs
  are late by up to that.
- Draining, no connection goes on after the request that it is at; who is idle is closed.
  One that has not asked yet, or is still in its handshake, is waited for: who connected
  just before is served. Not for long: browsers open connections that they may never use.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice

from pools.conf import Conf
from pools.core.counters import Counters
from pools.core.engine import Engine
from pools.core.headers import HeaderRules
from pools.gateway.access_log import AccessLog
from pools.gateway.dial import Dialler
from pools.gateway.downstream import Downstream
from pools.gateway.forwarding import Forwarding
from pools.gateway.idle import IdleConnections
from pools.gateway.queues import Queues
from pools.gateway.records import Records
from pools.gateway.troubles import Troubles
from pools.resolver import Resolver
from pools.wire.ids import make_id

logger = logging.getLogger("pools.gateway")

SWEEP_S = 0.25
FORGET_S = 60.0
# Who means to ask does so at once: in this time TCP sends a lost segment again three times.
UNASKED_S = 3.0
SLOW_ARRIVAL_S = 2.0  # a handshake takes a few times the way there and back
LOOKED_AT = 64  # clients, to find an idle one: whoever floods must not make it long


class Gateway:
    """One process's gateway. `on_sweep` are called with time.monotonic at each sweep."""

    def __init__(
        self,
        engine: Engine,
        *,
        rules: HeaderRules,
        conf: Conf,
        loop: asyncio.AbstractEventLoop,
        counters: Counters,
        access_log: AccessLog | None,
        loaded: Callable[[], bool],
    ) -> None:
        self.engine = engine
        self.rules = rules
        self.conf = conf
        self.loop = loop
        self.counters = counters
        self.records = Records(counters, access_log)
        self.loaded = loaded
        self.make_id = make_id
        self.draining = False  # answers say that their connection ends
        self._closes_idle = False  # and who asks nothing more is closed
        self._unasked_until = 0.0  # who has asked nothing at all, from then on
        self.idle = IdleConnections()
        self.queues = Queues(loop)
        self.troubles = Troubles()
        self.on_sweep: list[Callable[[float], None]] = []
        self._resolver = Resolver(loop)
        self.dialler = Dialler(loop, self.idle, self._resolver)
        self._clients: set[Downstream] = set()
        # Accepted, and no clients yet, the oldest first: the peer's address, what ends it, and
        # since when.
        self._arriving: dict[object, tuple[str, Callable[[], None], float]] = {}
        self._tunnels: set[Forwarding] = set()
        self._addresses: Counter[str] = Counter()
        self._sweeping: asyncio.TimerHandle | None = None
        self._forget_at = 0.0

    # --- for who serves ------------------------------------------------------------------

    def protocol(self, *, scheme: str = "http", peer: str | None = None) -> Downstream:
        """For a new connection; `peer` is the client's address if it is not the socket's."""
        return Downstream(self, scheme=scheme, peer=peer)

    def start(self) -> None:
        self._sweeping = self.loop.call_later(SWEEP_S, self._sweep)

    @property
    def connections(self) -> int:
        return len(self._clients) + len(self._tunnels) + len(self._arriving)

    @property
    def exchanges(self) -> int:
        """Requests in progress, without tunnels."""
        return sum(client.busy for client in self._clients)

    @property
    def tunnels(self) -> int:
        return len(self._tunnels)

    @property
    def drained(self) -> bool:
        return not self.connections

    def drain(self) -> None:
        self.draining = self._closes_idle = True
        self._unasked_until = time.monotonic() + UNASKED_S
        self.idle.clear()
        for client in tuple(self._clients):
            client.close_idle(unasked=False)

    def cut_exchanges(self) -> None:
        self._end_arriving()
        for client in tuple(self._clients):
            client.abort()

    def cut_tunnels(self) -> None:
        for forwarding in tuple(self._tunnels):
            forwarding.cut("the gateway ends")

    async def close(self) -> None:
        """End everything at once."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.draining = True
        self.cut_exchanges()
        self.cut_tunnels()
        self.idle.clear()
        await asyncio.sleep(0)  # for the transports to close

    # --- for connections -------------------------------------------------------------------

    def welcome(self, client: Downstream) -> bool:
        """Whether there is room for another client; it is then counted until `farewell`."""
        if self._arriving:
            self.arrived(client)
        self.counters.connections += 1
        self._clients.add(client)
        self._addresses[client.peer] += 1
        return self._has_room(client, client.peer)

    def farewell(self, client: Downstream) -> None:
        self._clients.discard(client)
        self._forget_address(client.peer)

    def arrives(self, who: object, peer: str, end: Callable[[], None]) -> bool:
        """Whether there is room for a connection that is no client yet; `who` is counted
        until it is welcome as one, or `arrived`. `end` ends it, and may be called late."""
        self._arriving[who] = peer, end, time.monotonic()
        self._addresses[peer] += 1
        return self._has_room(who, peer)

    def arrived(self, who: object) -> None:
        """It is a client, or gone. May be called again."""
        found = self._arriving.pop(who, None)
        if found is not None:
            self._forget_address(found[0])

    def tunnel_opened(self, forwarding: Forwarding, client: Downstream) -> None:
        self.counters.tunnels += 1
        self._clients.discard(client)
        self._tunnels.add(forwarding)

    def tunnel_closed(self, forwarding: Forwarding, client: Downstream) -> None:
        self._tunnels.discard(forwarding)
        self._forget_address(client.peer)

    # --- within ------------------------------------------------------------------------------

    def _has_room(self, newest: object, peer: str) -> bool:
        """Whether what is counted already may stay."""
        most = self.conf.max_connections_per_client
        if most and self._addresses[peer] > most and not self.rules.trusts(peer):
            self.troubles.add(peer, "too many connections of one client")
            return False
        if self.connections > self.conf.max_connections:
            self.troubles.add("clients", "there are as many connections as max_connections")
            return self._make_room(newest)
        return True

    def _make_room(self, newest: object) -> bool:
        """Close a client that is idle, for one that wants something. Who takes long to arrive
        goes before it, and who is the first of those that arrive where nobody is idle."""
        if self._end_oldest(newest, arriving_s=SLOW_ARRIVAL_S):
            return True
        for client in tuple(islice(self._clients, LOOKED_AT)):
            if client is not newest and client.close_idle():
                return True
        return self._end_oldest(newest, arriving_s=0.0)

    def _end_oldest(self, newest: object, *, arriving_s: float) -> bool:
        """End who has been arriving for longest, if for so long; whether there was one."""
        for who, (_, end, since) in self._arriving.items():
            if who is newest or time.monotonic() - since < arriving_s:
                break
            self.arrived(who)
            end()
            return True
        return False

    def _forget_address(self, peer: str) -> None:
        left = self._addresses[peer] - 1
        if left:
            self._addresses[peer] = left
        else:
            del self._addresses[peer]

    def _end_arriving(self) -> None:
        for _, end, _ in tuple(self._arriving.values()):
            end()

    def _sweep(self) -> None:
        self._sweeping = self.loop.call_later(SWEEP_S, self._sweep)
        now = time.monotonic()
        unasked = now >= self._unasked_until
        for client in tuple(self._clients):
            if client.deadline <= now:
                self._guarded(client.sweep, now)
            elif self._closes_idle:
                client.close_idle(unasked=unasked)
        if self._closes_idle and unasked:
            self._end_arriving()
        for forwarding in tuple(self._tunnels):
            self._guarded(forwarding.check, now)
        self.queues.sweep()
        self.idle.sweep(now)
        self.troubles.sweep(now)
        if now >= self._forget_at:
            self._forget_at = now + FORGET_S
            self._resolver.sweep(now)
            document = self.engine.snapshot.document
            self.counters.forget(
                {route.name for route in document.routes},
                {status.key for status in self.engine.status()},
                {pool.name for pool in document.pools},
            )
        for called in self.on_sweep:
            self._guarded(called, now)

    def _guarded(self, called: Callable[[float], None], now: float) -> None:
        """What fails for one must not be late for all others."""
        try:
            called(now)
        except Exception:
            logger.exception("in a sweep")
