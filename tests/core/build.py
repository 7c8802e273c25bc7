"""Short ways to documents, engines and requests."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from pools.core.codec import parse
from pools.core.engine import Engine, Exchange
from pools.core.errors import NoBackendAvailable
from pools.core.request import RequestHead
from pools.core.retry import Failure, FailureKind
from pools.core.snapshot import Snapshot, compile_snapshot

SECRET = b"a secret of the tests"


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def head(
    method: str = "GET",
    path: str = "/",
    *,
    host: str = "example.com",
    headers: Iterable[tuple[bytes, bytes]] = (),
    client: str = "192.0.2.1",
) -> RequestHead:
    return RequestHead(
        method=method.encode(),
        host=host,
        path=path.encode(),
        headers=tuple(headers),
        client=client,
    )


def cookie(value: bytes) -> RequestHead:
    return head(headers=[(b"cookie", value)])


def backends(count: int, **spec: Any) -> list[dict[str, Any]]:
    """b1:80, b2:80, ..."""
    return [{"host": f"b{number}", "port": 80, **spec} for number in range(1, count + 1)]


def snapshot(
    *pools: Mapping[str, Any],
    routes: Iterable[Mapping[str, Any]] | None = None,
    revision: int = 1,
) -> Snapshot:
    """Of these pools; without `routes` each pool takes what is below /NAME."""
    if routes is None:
        routes = [
            {"name": pool["name"], "pool": pool["name"], "path_prefix": f"/{pool['name']}"}
            for pool in pools
        ]
    document = parse({"pools": list(pools), "routes": list(routes)})
    return compile_snapshot(document, revision=revision, secret=SECRET)


def pool(
    count: int | list[dict[str, Any]] = 3, name: str = "web", **spec: Any
) -> dict[str, Any]:
    made = backends(count) if isinstance(count, int) else count
    return {"name": name, "backends": made, **spec}


class Bench:
    """An engine with one pool, its clock, and short ways to use it."""

    def __init__(self, *pools: Mapping[str, Any]) -> None:
        self.clock = Clock()
        self.engine = Engine(
            clock=self.clock, random=random.Random(7), snapshot=snapshot(*pools)
        )

    def begin(self, request: RequestHead | None = None, *, pool: str = "web") -> Exchange:
        compiled = self.engine.snapshot.routes.routes
        route = next(route for route in compiled if route.pool.name == pool)
        return self.engine.begin(route, request or head())

    def serve(self, request: RequestHead | None = None, *, status: int = 200) -> str:
        """One whole exchange: which backend had it, by its host."""
        with self.begin(request) as exchange:
            chosen = exchange.acquire()
            exchange.respond(status, replayable=False)
        return chosen.backend.spec.host

    def serve_many(self, count: int, request: RequestHead | None = None) -> list[str]:
        return [self.serve(request) for _ in range(count)]

    def hold(self, request: RequestHead | None = None) -> tuple[Exchange, str]:
        """An exchange that keeps its lease, and the backend's host."""
        exchange = self.begin(request)
        return exchange, exchange.acquire().backend.spec.host

    def refused(self, request: RequestHead | None = None) -> bool:
        with self.begin(request) as exchange:
            try:
                exchange.acquire()
            except NoBackendAvailable:
                return True
        return False

    def break_backend(self, host: str, times: int = 5) -> None:
        """Have requests to a backend fail; others go on as they come."""
        for _ in range(times):
            held = []
            while True:
                exchange, chosen = self.hold()
                held.append(exchange)
                if chosen == host:
                    exchange.fail(failure())
                    break
            for exchange in held:
                exchange.close()

    def swap(self, *pools: Mapping[str, Any]) -> None:
        revision = self.engine.snapshot.revision + 1
        self.engine.swap(snapshot(*pools, revision=revision))

    def in_flight(self) -> dict[str, int]:
        return {status.key: status.in_flight for status in self.engine.status()}


def failure(kind: FailureKind = FailureKind.ERROR, **facts: Any) -> Failure:
    known: dict[str, Any] = {
        "bytes_sent": True,
        "replayable": False,
        "reused": False,
        "words": "reset",
    }
    return Failure(kind=kind, **(known | facts))
