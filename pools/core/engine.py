"""The face of the core: a data plane matches, begins an exchange, acquires and reports.

    route = engine.match(head)
    with engine.begin(route, head) as exchange:
        while True:
            attempt = exchange.acquire()
            try:
                answer = send(attempt)
            except Broken as error:
                if exchange.fail(Failure(...)):
                    continue
                raise
            if not exchange.respond(answer.status, replayable=...):
                break
        relay(answer)

Rules:
- The engine is thread-safe; an exchange is one thread's at a time.
- A pool's backends are those of the newest snapshot, even for an exchange that began
  before it: who has gone or drains gets no further attempt.
- Time and chance are given: `clock` in seconds that only grow, `random`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from threading import Lock

from pools.core.compiled import CompiledRoute
from pools.core.document import Document
from pools.core.exchange import Attempt, Exchange
from pools.core.probing import Verdict
from pools.core.request import RequestHead
from pools.core.runtime import PoolState
from pools.core.snapshot import Snapshot, compile_snapshot
from pools.core.status import BackendStatus, Ejection, Leaving, Notable, PoolStatus

__all__ = ["Attempt", "BackendStatus", "Engine", "Exchange"]


class Engine:
    """One process's routing and balancing."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Random,
        snapshot: Snapshot | None = None,
    ) -> None:
        self.clock = clock
        self.random = random
        self.snapshot = compile_snapshot(Document(), revision=0, secret=b"")
        self._changing = Lock()  # held while the set of pools or the verdicts change
        self._verdicts: dict[str, Verdict] = {}
        self._pools: dict[str, PoolState] = {}
        if snapshot is not None:
            self._take(snapshot, warm=False)

    def swap(self, snapshot: Snapshot) -> None:
        """Go on with another snapshot. Exchanges under way end with the routes they have."""
        self._take(snapshot, warm=self.snapshot.revision > 0)

    def _take(self, snapshot: Snapshot, *, warm: bool) -> None:
        now = self.clock()
        with self._changing:
            before = self._pools
            pools = {name: state for name, state in before.items() if state.in_flight}
            for name, pool in snapshot.pools.items():
                state = before.get(name)
                if state is None:
                    state = PoolState(pool, self._verdicts, now=now, warm=warm)
                else:
                    with state.lock:
                        state.configure(pool, self._verdicts, now=now, warm=warm)
                pools[name] = state
            self._pools = pools
            self.snapshot = snapshot

    def apply_health(self, verdicts: Mapping[str, Verdict]) -> None:
        """Take on what probes say of all backends; a key that is missing is unknown."""
        now = self.clock()
        with self._changing:
            self._verdicts = dict(verdicts)
            for pool in self._pools.values():
                with pool.lock:
                    pool.apply_health(self._verdicts, now=now)

    def recovered(self, keys: Iterable[str]) -> None:
        """End the ejections of these backends: a probe passed since."""
        keys, now = tuple(keys), self.clock()
        with self._changing:
            for pool in self._pools.values():
                with pool.lock:
                    pool.recovered(keys, now=now)

    def ejected(self) -> frozenset[str]:
        """The keys of the backends that are ejected now."""
        return frozenset(ejection.key for ejection in self.notable().ejections)

    def notable(self) -> Notable:
        """What is not as usual now, of the snapshot's pools. Cheap enough to ask for again
        and again: it costs a look at each backend."""
        now = self.clock()
        ejections: list[Ejection] = []
        leaving: list[Leaving] = []
        panic: list[str] = []
        with self._changing:
            for name in self.snapshot.pools:
                pool = self._pools[name]
                with pool.lock:
                    ejections += pool.ejections(now=now)
                    leaving += pool.leaving()
                    if pool.panics(now=now):
                        panic.append(name)
        return Notable(tuple(ejections), tuple(panic), tuple(leaving))

    def in_flight(self) -> dict[str, int]:
        """Requests and tunnels under way by backend key, where there are any; also with
        backends that the snapshot no longer has."""
        found: dict[str, int] = {}
        with self._changing:
            for pool in self._pools.values():
                if pool.in_flight:
                    with pool.lock:
                        found.update(pool.flying())
        return found

    def pools(self) -> tuple[PoolStatus, ...]:
        """All pools of the snapshot with their backends, in its order."""
        now = self.clock()
        found: list[PoolStatus] = []
        with self._changing:
            for name in self.snapshot.pools:
                pool = self._pools[name]
                with pool.lock:
                    backends = tuple(pool.status(now=now))
                    found.append(PoolStatus(name, pool.panic, backends))
        return tuple(found)

    def status(self) -> tuple[BackendStatus, ...]:
        """All backends of the snapshot, in its order."""
        return tuple(backend for pool in self.pools() for backend in pool.backends)

    def match(self, head: RequestHead) -> CompiledRoute | None:
        """The route that takes the request; None: there is none."""
        return self.snapshot.routes.match(head)

    def begin(self, route: CompiledRoute, head: RequestHead) -> Exchange:
        """An exchange on a route, which `match` gave. It holds nothing yet."""
        pool = self._pools.get(route.pool.name)
        if pool is None:
            # A swap took the pool away since `match`: serve this one as if it had not.
            pool = PoolState(route.pool, self._verdicts, now=self.clock())
        return Exchange(pool, route, head, self.clock, self.random)
