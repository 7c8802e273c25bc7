"""What one process knows of its backends beyond the configuration; it survives a swap.

Rules:
- State is kept by backend key. A backend that goes while it has requests in flight keeps
  its state until they end, so that its leases end well and count if it comes back.
- A backend that is ready, has a weight and is in good health takes requests. Draining, or
  of weight 0, it takes those of clients that hold its cookie. In maintenance, down or
  ejected it takes none, but in panic health does not count.
- Backups are used where no primary is left.
- What health, ejections and weights allow is worked out when one of them changes and
  kept until the next change is due; each selection looks only at what is full or tried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random
from threading import Lock

from pools.core import cookies, passive
from pools.core.balancers import BALANCERS
from pools.core.compiled import CompiledBackend, CompiledPool
from pools.core.document import AdminState
from pools.core.passive import PassiveState
from pools.core.probing import Verdict
from pools.core.request import RequestHead
from pools.core.retry import RetryBudget
from pools.core.status import BackendStatus, Ejection, Leaving

_NEVER = float("inf")
_LONG_AGO = float("-inf")

# Envoy's min_weight_percent; and how finely the scale is followed.
SLOW_START_FLOOR = 0.1
SLOW_START_STEPS = 100


class BackendState:
    """One backend's state; a `balancers.Candidate`. Guarded by its pool's lock."""

    __slots__ = (
        "backend",
        "current",
        "in_flight",
        "key",
        "passive",
        "seed",
        "sticky",
        "tunnels",
        "verdict",
        "warm_from",
        "weight",
    )

    def __init__(self, backend: CompiledBackend, verdict: Verdict) -> None:
        self.backend = backend
        self.key = backend.key
        self.seed = backend.seed
        self.verdict = verdict
        self.in_flight = 0
        self.tunnels = 0  # of those in flight
        self.passive = PassiveState()
        self.warm_from = _LONG_AGO  # when its slow start began
        # For the balancer.
        self.weight = float(backend.spec.weight)
        self.current = 0.0
        # Whether clients with its cookie may have it; set with the pool's tiers.
        self.sticky = False

    @property
    def full(self) -> bool:
        return 0 < self.backend.max_in_flight <= self.in_flight

    @property
    def ready(self) -> bool:
        """Whether the operator lets it take any client."""
        spec = self.backend.spec
        return spec.state is AdminState.READY and spec.weight > 0

    @property
    def backup(self) -> bool:
        return self.backend.spec.backup

    def healthy(self, now: float) -> bool:
        return self.verdict is not Verdict.DOWN and not self.passive.ejected(now)


class PoolState:
    """The states of one pool's backends, and the choice among them.

    Who calls a method holds `lock`. `panic`: health is ignored, as of the last `_settle`.
    """

    def __init__(
        self,
        pool: CompiledPool,
        verdicts: Mapping[str, Verdict],
        *,
        now: float,
        warm: bool = False,
    ) -> None:
        self.lock = Lock()
        self.in_flight = 0
        self.budget = RetryBudget()
        self.panic = False
        self.backends: dict[str, BackendState] = {}
        self._members: tuple[BackendState, ...] = ()
        self._tiers: tuple[Sequence[BackendState], ...] = ()
        self._until = _LONG_AGO  # up to when the tiers hold
        self.configure(pool, verdicts, now=now, warm=warm)

    def configure(
        self,
        pool: CompiledPool,
        verdicts: Mapping[str, Verdict],
        *,
        now: float,
        warm: bool,
    ) -> None:
        """Take on a configuration. `warm`: backends that are new in it start slowly."""
        kept = {key: state for key, state in self.backends.items() if state.in_flight}
        members = []
        reweighted = False
        for backend in pool.backends:
            state = self.backends.get(backend.key)
            if state is None:
                state = BackendState(backend, verdicts.get(backend.key, Verdict.UNKNOWN))
                state.warm_from = now if warm else _LONG_AGO
                reweighted = True
            elif warm and _turns_up(state.backend, backend):
                state.warm_from = now
            reweighted |= state.backend.spec.weight != backend.spec.weight
            state.backend = backend
            members.append(state)
        if reweighted:
            # What a backend of weight 256 owes would keep it out for long at weight 1.
            for state in members:
                state.current = 0.0
        self.pool = pool
        self.backends = kept | {state.key: state for state in members}
        self._members = tuple(members)
        self._by_token = {
            backend.token: self.backends[backend.key] for backend in pool.backends
        }
        spec = pool.spec
        self._limited = any(backend.max_in_flight for backend in pool.backends)
        self._balancer = BALANCERS[spec.policy](spec)
        self._slow_start_s = spec.slow_start_s if self._balancer.slow_start else 0.0
        self._until = _LONG_AGO

    # --- choosing ------------------------------------------------------------------

    def select(
        self, head: RequestHead, tried: Collection[str], *, now: float, random: Random
    ) -> BackendState | None:
        """The backend for the request, other than those tried; None: there is none."""
        if now >= self._until:
            self._settle(now)
        if self.pool.cookie:
            own = self.presented(head)
            if own and own.sticky and not own.full and own.key not in tried:
                return own
        for tier in self._tiers:
            candidates = self._free(tier, tried)
            if len(candidates) > 1:
                return self._balancer.select(candidates, head, random)
            if candidates:
                return candidates[0]
        return None

    def another(self, tried: Collection[str], *, now: float) -> bool:
        """Whether there is a backend other than those tried."""
        if now >= self._until:
            self._settle(now)
        return any(self._free(tier, tried) for tier in self._tiers)

    def full(self, tried: Collection[str]) -> bool:
        """Whether a backend other than those tried is kept from `select` by its limit alone.

        As of the last `select`.
        """
        return any(
            state.full and state.key not in tried for tier in self._tiers for state in tier
        )

    def presented(self, head: RequestHead) -> BackendState | None:
        """The backend that the request's sticky cookie names."""
        token = cookies.find(head.headers, self.pool.cookie)
        return None if token is None else self._by_token.get(token)

    def _free(
        self, tier: Sequence[BackendState], tried: Collection[str]
    ) -> Sequence[BackendState]:
        if not tried and not self._limited:
            return tier
        return [state for state in tier if state.key not in tried and not state.full]

    # --- working out who may be chosen -----------------------------------------------

    def _settle(self, now: float) -> None:
        """Work out tiers, weights and who may keep its clients; and for how long."""
        ready = [state for state in self._members if state.ready]
        healthy = [state for state in ready if state.healthy(now)]
        backups = sum(state.backup for state in healthy)
        self.panic = passive.ignores_health(
            self.pool.spec.passive,
            primaries=len(healthy) - backups,
            backups=backups,
            ready=len(ready),
        )
        if self.panic:
            healthy = ready
        tiers = (
            [state for state in healthy if not state.backup],
            [state for state in healthy if state.backup],
        )
        self._tiers = tuple(tier for tier in tiers if tier)
        usable = {state.key for tier in self._tiers for state in tier}
        stay = {AdminState.READY}
        if self.pool.spec.sticky.while_draining:
            stay.add(AdminState.DRAIN)
        for state in self._members:
            state.sticky = state.key in usable or (
                state.backend.spec.state in stay and state.healthy(now)
            )
        self._until = min(
            (s.passive.until for s in self._members if s.passive.ejected(now)),
            default=_NEVER,
        )
        self._scale(now)

    def _scale(self, now: float) -> None:
        """Set the weights in force: scaled for backends that start slowly."""
        over = self._slow_start_s
        for state in self._members:
            state.weight = float(state.backend.spec.weight)
            since = now - state.warm_from  # below 0 while it is ejected
            if over and since < over:
                state.weight *= max(SLOW_START_FLOOR, since / over)
                self._until = min(self._until, now + over / SLOW_START_STEPS)

    # --- what happens to them --------------------------------------------------------

    def apply_health(self, verdicts: Mapping[str, Verdict], *, now: float) -> None:
        for state in self.backends.values():
            verdict = verdicts.get(state.key, Verdict.UNKNOWN)
            if state.verdict is Verdict.DOWN and verdict is not Verdict.DOWN:
                state.warm_from = now
            state.verdict = verdict
        self._until = _LONG_AGO

    def failed(self, state: BackendState, words: str, *, now: float) -> bool:
        """Count a failure of a backend; whether that ejects it."""
        spec = self.pool.spec.passive
        if state.passive.ejected(now) or not state.passive.failed(spec, words):
            return False
        ready = [other for other in self._members if other.ready]
        others = sum(other.healthy(now) for other in ready if other is not state)
        ejected = sum(other.passive.ejected(now) for other in ready)
        if not passive.may_eject(
            spec, pool=len(ready), ejected=ejected, others_selectable=others
        ):
            return False
        state.passive.eject(spec, now)
        state.warm_from = state.passive.until
        self._until = _LONG_AGO
        return True

    def recovered(self, keys: Iterable[str], *, now: float) -> None:
        """End the ejections of these backends of the pool."""
        for key in keys:
            state = self.backends.get(key)
            if state is not None and state.passive.ejected(now):
                state.passive.recover(now)
                state.warm_from = now
                self._until = _LONG_AGO

    # --- telling -----------------------------------------------------------------------

    def panics(self, *, now: float) -> bool:
        if now >= self._until:
            self._settle(now)
        return self.panic

    def ejections(self, *, now: float) -> list[Ejection]:
        return [
            Ejection(state.key, state.passive.until - now, state.passive.why)
            for state in self._members
            if state.passive.ejected(now)
        ]

    def flying(self) -> dict[str, int]:
        """What is in flight, by backend key, where anything is."""
        return {
            state.key: state.in_flight for state in self.backends.values() if state.in_flight
        }

    def leaving(self) -> list[Leaving]:
        return [
            Leaving(state.key, state.in_flight - state.tunnels, state.tunnels)
            for state in self._members
            if state.in_flight and state.backend.spec.state is not AdminState.READY
        ]

    def status(self, *, now: float) -> list[BackendStatus]:
        if now >= self._until:
            self._settle(now)
        usable = {state.key for tier in self._tiers for state in tier}
        return [self._status(state, state.key in usable, now) for state in self._members]

    def _status(self, state: BackendState, usable: bool, now: float) -> BackendStatus:
        spec = state.backend.spec
        ejected_for_s = max(0.0, state.passive.until - now)
        ill = ""
        if state.verdict is Verdict.DOWN:
            ill = "probes say down"
        elif ejected_for_s:
            ill = f"ejected for {ejected_for_s:.0f} s: {state.passive.why}"
        if spec.state is AdminState.MAINT:
            why = "in maintenance"
        elif spec.state is AdminState.DRAIN:
            why = "draining"
        elif not spec.weight:
            why = "weight 0"
        elif state.full:
            why = f"full: {state.in_flight} of {state.backend.max_in_flight} in flight"
        elif ill and usable:
            why = f"{ill}, but so many are out that health is ignored (panic)"
        else:
            why = ill
        return BackendStatus(
            key=state.key,
            pool=self.pool.name,
            state=spec.state,
            verdict=state.verdict,
            in_flight=state.in_flight,
            tunnels=state.tunnels,
            ejected_for_s=ejected_for_s,
            available=usable and not state.full,
            why=why,
        )


def _turns_up(before: CompiledBackend, after: CompiledBackend) -> bool:
    return before.spec.state is AdminState.MAINT and after.spec.state is not AdminState.MAINT
