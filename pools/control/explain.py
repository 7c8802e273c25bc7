"""Where a request goes by what is published, and why; for people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from pools import reserved
from pools.control import compile, publish, verdicts
from pools.core.document import Document
from pools.core.engine import BackendStatus, Engine
from pools.core.errors import DocumentError
from pools.core.request import RequestHead
from pools.core.routing import Explanation
from pools.core.snapshot import CompiledPool, compile_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend of the route's pool. `share` of its requests in the long run, 0 to 1."""

    status: BackendStatus
    weight: int
    backup: bool
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What becomes of a request.

    `reserved`: it is the control plane's, and no route is asked. `pending`: the rows say
    something that is not published. `sent_path` is the path that a backend gets.
    """

    revision: int
    pending: bool
    reserved: bool
    explanation: Explanation
    sent_path: bytes
    candidates: tuple[Candidate, ...]

    @property
    def taken(self) -> bool:
        """Whether a route takes it."""
        return self.explanation.taken is not None and not self.reserved

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        route = self.explanation.taken
        return {
            "revision": self.revision,
            "pending": self.pending,
            "reserved": self.reserved,
            "route": route.name if route and self.taken else None,
            "pool": route.pool.name if route and self.taken else None,
            "sent_path": self.sent_path.decode("ascii", "backslashreplace"),
            "passed_over": [
                {"route": other.route.name, "reason": other.reason}
                for other in self.explanation.passed_over
            ],
            "backends": [
                {
                    "backend": candidate.status.key,
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


def explain(head: RequestHead) -> Explained:
    """Explain by the published revision and the health in the database.

    What only a process knows (ejections, requests in flight) is not in it. Raises
    DocumentError where the published revision cannot be read.
    """
    engine = published_engine()
    document, number = engine.snapshot.document, engine.snapshot.revision
    explanation = engine.snapshot.routes.explain(head)
    kept = reserved.current().holds(head.host, head.path)
    route = None if kept else explanation.taken
    return Explained(
        revision=number,
        pending=_pending(document),
        reserved=kept,
        explanation=explanation,
        sent_path=route.rewrite_path(head.path) if route else b"",
        candidates=tuple(_candidates(engine, route.pool)) if route else (),
    )


def published_engine() -> Engine:
    """An engine as a process has it that starts now: the published revision, and the health in
    the database. Raises DocumentError."""
    number = publish.revision()
    engine = Engine(clock=time.monotonic, random=Random())
    engine.apply_health(verdicts.health_map())
    document = publish.published(number)
    engine.swap(compile_snapshot(document, revision=number, secret=b""))
    return engine


def _pending(document: Document) -> bool:
    try:
        return compile.document() != document
    except DocumentError:
        return True  # rows that do not hold cannot be what is published


def _candidates(engine: Engine, pool: CompiledPool) -> Iterator[Candidate]:
    specs = {backend.key: backend.spec for backend in pool.backends}
    found = [status for status in engine.status() if status.pool == pool.name]
    able = [status.key for status in found if status.available]
    serving = [key for key in able if not specs[key].backup] or able
    total = sum(specs[key].weight for key in serving)
    for status in found:
        spec = specs[status.key]
        share = spec.weight / total if status.key in serving else 0.0
        yield Candidate(status=status, weight=spec.weight, backup=spec.backup, share=share)
