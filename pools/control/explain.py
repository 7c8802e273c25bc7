"""Where a request goes by what is published, and why; for people."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from django.utils.translation import gettext_noop

from pools import reserved
from pools.control import compile, publish, route_table, sent, verdicts, watch
from pools.control.asked import Asked
from pools.control.sent import Field
from pools.core.engine import BackendStatus, Engine
from pools.core.errors import DocumentError
from pools.core.headers import host_for
from pools.core.precedence import pattern
from pools.core.request import RequestHead
from pools.core.routing import Cause, Explanation
from pools.core.runtime import PoolState
from pools.core.snapshot import CompiledPool, CompiledRoute, Snapshot, compile_snapshot
from pools.models import Pool, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend of the route's pool. `share` of its requests in the long run, 0 to 1; `host`
    is the Host that it gets."""

    status: BackendStatus
    weight: int
    backup: bool
    share: float
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What becomes of a request.

    `client`: its address, as trusted proxies say. `reserved`: it is the control plane's, and no
    route is asked. `pending`: the rows say something else of the routes, or of the pool that
    gets it, than is published. `sent_path` is the path that a backend gets, with the query.
    `foreign`: a route takes it that its reader may not see. `hidden`: so many others are not
    told of, for the same reason.
    """

    asked: Asked
    client: str
    revision: int
    pending: bool
    reserved: bool
    explanation: Explanation
    sent_path: bytes = b""
    fields: tuple[Field, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    foreign: bool = False
    hidden: int = 0

    @property
    def taken(self) -> bool:
        """Whether a route takes it."""
        return self.foreign or (self.explanation.taken is not None and not self.reserved)

    @property
    def route(self) -> CompiledRoute | None:
        """The route that takes it."""
        return self.explanation.taken if self.taken else None

    def without(self, names: Collection[str]) -> Explained:
        """As somebody may see it who may not see these routes."""
        told = tuple(
            other for other in self.explanation.passed_over if other.route.name not in names
        )
        hidden = len(self.explanation.passed_over) - len(told)
        taken = self.explanation.taken
        if taken is None or taken.name not in names:
            return replace(self, explanation=Explanation(taken, told), hidden=hidden)
        told = tuple(
            replace(other, reason=gettext_noop("less specific than the route that takes it"))
            if other.cause is Cause.OUTRANKED
            else other
            for other in told
        )
        return replace(
            self,
            explanation=Explanation(None, told),
            hidden=hidden,
            foreign=not self.reserved,
            sent_path=b"",
            fields=(),
            candidates=(),
        )

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        route = self.route
        return {
            "revision": self.revision,
            "pending": self.pending,
            "reserved": self.reserved,
            "client": self.client,
            "route": route.name if route else None,
            "pool": route.pool.name if route else None,
            "sent_path": self.sent_path.decode("ascii", "backslashreplace"),
            "headers": [field.plain() for field in self.fields],
            "passed_over": [
                {"route": other.route.name, "reason": other.reason}
                for other in self.explanation.passed_over
            ],
            "backends": [
                {
                    "backend": candidate.status.key,
                    "host": candidate.host,
                    "state": candidate.status.state.value,
                    "health": candidate.status.verdict.value,
                    "weight": candidate.weight,
                    "backup": candidate.backup,
                    "share": round(candidate.share, 4),
                    "available": candidate.status.available,
                    "why": candidate.status.why,
                }
                for candidate in self.candidates
            ],
        }


def explain(asked: Asked, *, watching: bool = False) -> Explained:
    """Explain by the published revision and the health in the database.

    What only a process knows (ejections, requests in flight) is not in it. `watching`: this
    process carries traffic or shows the console, and what it has in force is used where that
    is the published revision, which costs no compiling. Raises DocumentError where the
    published revision cannot be read.
    """
    snapshot = _in_force() if watching else None
    if snapshot is None:
        snapshot = _published()
    by = sent.rules()
    headers = [*asked.headers]
    if asked.host:
        headers.insert(0, (b"host", asked.host.encode()))
    origin = by.origin(
        peer=asked.peer, scheme=asked.scheme, host=asked.host.encode(), headers=headers
    )
    head = RequestHead(asked.method.encode(), asked.name, asked.path, headers, origin.client)
    explanation = snapshot.routes.explain(head)
    kept = reserved.current().holds(head.host, head.path)
    route = None if kept else explanation.taken
    found = Explained(
        asked=asked,
        client=origin.client,
        revision=snapshot.revision,
        pending=_pending(snapshot, route),
        reserved=kept,
        explanation=explanation,
    )
    if route is None:
        return found
    return replace(
        found,
        sent_path=route.rewrite_path(head.path) + asked.query.encode(),
        fields=tuple(sent.fields(asked, headers, origin=origin, route=route, by=by)),
        candidates=tuple(_candidates(route, asked.host.encode())),
    )


def published_engine() -> Engine:
    """An engine as a process has it that starts now: the published revision, and the health in
    the database. Raises DocumentError."""
    engine = Engine(clock=time.monotonic, random=Random())
    engine.apply_health(verdicts.health_map())
    engine.swap(_published())
    return engine


def _published() -> Snapshot:
    number = publish.revision()
    return compile_snapshot(publish.published(number), revision=number, secret=b"")


def _in_force() -> Snapshot | None:
    """This process's own snapshot, where it is of the published revision."""
    snapshot = watch.engine().snapshot
    return snapshot if snapshot.revision == publish.revision() else None


def _pending(snapshot: Snapshot, taken: CompiledRoute | None) -> bool:
    """Whether rows that have a say in where a request goes are not what is published: which
    requests routes take and who gets them, and all of the route and the pool that are taken."""
    published = {route.name: (pattern(route), route.pool) for route in snapshot.document.routes}
    if dict(route_table.read().patterns) != published:
        return True
    if taken is None:
        return False
    try:
        route = Route.objects.select_related("pool").get(name=taken.name)
        pool = Pool.objects.prefetch_related("backends").get(name=taken.pool.name)
        backends = [backend.plain() for backend in pool.backends.all()]
        plain = {
            "pools": [{**pool.plain(), "backends": backends}],
            "routes": [route.plain()],
        }
        found = compile.checked(plain)
    except (DocumentError, Pool.DoesNotExist, Route.DoesNotExist):
        return True  # rows that do not hold cannot be what is published
    return found.routes != (taken.spec,) or found.pools != (taken.pool.spec,)


def _candidates(route: CompiledRoute, host: bytes) -> Iterator[Candidate]:
    found = _statuses(route.pool)
    backends = {backend.key: backend for backend in route.pool.backends}
    able = [status.key for status in found if status.available]
    serving = [key for key in able if not backends[key].spec.backup] or able
    total = sum(backends[key].spec.weight for key in serving)
    for status in found:
        backend = backends[status.key]
        spec = backend.spec
        share = spec.weight / total if status.key in serving else 0.0
        yield Candidate(
            status=status,
            weight=spec.weight,
            backup=spec.backup,
            share=share,
            host=host_for(route, backend, host).decode("latin-1"),
        )


def _statuses(pool: CompiledPool) -> list[BackendStatus]:
    """As a process has them that starts now."""
    now = time.monotonic()
    state = PoolState(pool, verdicts.health_map(pool=pool.name), now=now)
    with state.lock:
        return state.status(now=now)
