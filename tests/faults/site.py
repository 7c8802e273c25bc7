"""The configuration that the suite runs against: three backends, a pool for each fault.

Each pool has a route of its own host, "killed.test" for the pool "killed", so that what a
test teaches one pool about its backends no other pool knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import services
from tests.faults.backends import Backend

NAMES = ("ash", "birch", "cedar")

# Backends that failed are tried again soon, so that a test sees them come back.
SOON: dict[str, Any] = {"passive": {"base_ejection_s": 0.3}}


def pool(name: str, ports: Sequence[int], **values: Any) -> dict[str, Any]:
    backends = [{"host": "127.0.0.1", "port": port} for port in ports]
    return {"name": name, "backends": backends, **SOON, **values}


def route(name: str, to: str = "", **values: Any) -> dict[str, Any]:
    return {"name": name, "pool": to or name, "hosts": [f"{name}.test"], **values}


class Site:
    """The backends and the document. `oracle` is the port of what takes the other hosts."""

    def __init__(self, folder: Path, *, oracle: int) -> None:
        self.backends = [Backend(name, folder) for name in NAMES]
        self.ports = [backend.port for backend in self.backends]
        self.refused = services.free_port()
        self.oracle = oracle

    def pools(self) -> list[dict[str, Any]]:
        first, second, third = self.ports
        unresolved = pool("unresolved", [second, third])
        unresolved["backends"].insert(0, {"host": "unresolved.invalid", "port": 80})
        again = {"on": ["connect", "error", "timeout", "http_503"]}
        return [
            pool("steady", self.ports),
            pool("killed", self.ports),
            pool("frozen", self.ports, policy="least_requests", response_timeout_s=0.5),
            pool("faulty", self.ports),
            pool("closing", self.ports),
            pool("erring", self.ports, passive={"failures": 0}),
            pool("unavailable", self.ports, retry=again),
            pool("dripping", self.ports),
            pool("refused", [self.refused, second, third]),
            unresolved,
            pool("first", [first]),
            pool("second", [second]),
            pool("oracle", [self.oracle]),
        ]

    def document(self, *, pools: Sequence[dict[str, Any]] = (), **moved: str) -> dict[str, Any]:
        """The document, with these pools in place of those of their names. `moved`: routes
        that lead to another pool than their own."""
        known = {each["name"]: each for each in (*self.pools(), *pools)}
        routes = [route(name, moved.get(name, "")) for name in known]
        routes += [route(name, to) for name, to in moved.items() if name not in known]
        routes.append({"name": "others", "pool": "oracle"})
        return {"pools": list(known.values()), "routes": routes}

    def well(self) -> None:
        for backend in self.backends:
            backend.well()

    def close(self) -> None:
        for backend in self.backends:
            backend.thaw()
            backend.kill()
