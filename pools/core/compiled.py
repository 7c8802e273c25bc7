"""The parts of a snapshot: what a document's parts become for use in each request.

Text is bytes here, names are looked up, defaults are resolved. All frozen, and compared
by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pools.core import document
from pools.core.document import Match
from pools.core.request import RequestHead

HeaderPairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledBackend:
    """A backend with its stable key POOL/ADDRESS.

    `unix` is the path of its socket, "" where it is reached by TCP. `host` is the Host that
    names it: without the scheme's own port. `tls`: it is spoken to by TLS. `max_in_flight`
    0: no limit. `token` is what a
    sticky cookie holds for it. `seed` tells it apart in a consistent hash; it is the
    address's alone, so that a pool's new name moves no client.
    """

    key: str
    pool: str
    spec: document.Backend
    unix: str
    host: bytes
    tls: bool
    max_in_flight: int
    token: bytes
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledPool:
    """A pool; `by_token` finds the backend that a sticky cookie names.

    `cookie` is that cookie's name, b"" where the pool is not sticky. `keeps_host`: backends
    get the Host that the client sent; otherwise `host`, or b"": each its own.
    """

    name: str
    spec: document.Pool
    cookie: bytes
    keeps_host: bool
    host: bytes
    keepalive_connections: int
    backends: tuple[CompiledBackend, ...]
    by_token: Mapping[bytes, CompiledBackend]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledCondition:
    """A test of one request header; of repeated fields one that holds is enough."""

    spec: document.Condition
    header: bytes
    value: bytes

    def holds(self, head: RequestHead) -> bool:
        match self.spec.match:
            case Match.PRESENT:
                return any(name == self.header for name, _ in head.headers)
            case Match.ABSENT:
                return all(name != self.header for name, _ in head.headers)
            case Match.EQUALS:
                return (self.header, self.value) in head.headers
        values = [value for name, value in head.headers if name == self.header]
        if self.spec.match is Match.PREFIX:
            return any(value.startswith(self.value) for value in values)
        return any(self.value in value for value in values)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledRoute:
    """A route with its pool.

    `exchange_timeout_s` 0: no bound; `max_body_bytes` 0: no limit. `methods` empty: any;
    `upgrades` empty: none. They and the names in `*_set` and `*_remove` are lower case.
    """

    name: str
    spec: document.Route
    pool: CompiledPool
    prefix: bytes
    methods: frozenset[bytes]
    conditions: tuple[CompiledCondition, ...]
    rewrite: tuple[int, bytes] | None  # (bytes to cut, bytes to put there); None: keep
    connect_timeout_s: float
    response_timeout_s: float
    exchange_timeout_s: float
    tunnel_timeout_s: float
    max_body_bytes: int
    upgrades: frozenset[bytes]
    request_set: HeaderPairs
    request_remove: frozenset[bytes]
    response_set: HeaderPairs
    response_remove: frozenset[bytes]

    @property
    def specificity(self) -> int:
        """How many conditions it has; its methods, if any, are one."""
        return len(self.conditions) + bool(self.methods)

    def holds(self, head: RequestHead) -> bool:
        """Whether its methods and conditions take the request."""
        if self.methods and head.method not in self.methods:
            return False
        return all(condition.holds(head) for condition in self.conditions)

    def rewrite_path(self, path: bytes) -> bytes:
        """The raw path that the backend gets for a path which this route takes."""
        if self.rewrite is None or not path.startswith(b"/"):  # "*" of OPTIONS
            return path
        cut, put = self.rewrite
        return put + path[cut:] or b"/"
