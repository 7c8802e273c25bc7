"""A document made ready for use: names resolved, text encoded, routes laid out as a trie.

A snapshot is immutable: a process swaps one reference, and each exchange keeps the
snapshot that it began with.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pools.core import document
from pools.core.balancers.consistent_hash import stable_hash
from pools.core.compiled import (
    CompiledBackend,
    CompiledCondition,
    CompiledPool,
    CompiledRoute,
    HeaderPairs,
)
from pools.core.document import Document, HostMode, PrefixMode, Scheme, StickyMode
from pools.core.routing import RouteTable

__all__ = [
    "CompiledBackend",
    "CompiledCondition",
    "CompiledPool",
    "CompiledRoute",
    "Snapshot",
    "compile_snapshot",
    "sticky_cookie",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    revision: int
    document: Document
    pools: Mapping[str, CompiledPool]
    routes: RouteTable


def compile_snapshot(document: Document, *, revision: int, secret: bytes) -> Snapshot:
    """The snapshot of a document that `codec.parse` returned.

    `secret` signs sticky cookies; processes that share clients must share it.
    """
    pools = {pool.name: _pool(pool, secret) for pool in document.pools}
    routes = (_route(route, pools[route.pool]) for route in document.routes)
    return Snapshot(
        revision=revision,
        document=document,
        pools=MappingProxyType(pools),
        routes=RouteTable(routes),
    )


def sticky_cookie(pool: document.Pool) -> str:
    """The name of a pool's cookie, in mode cookie."""
    return pool.sticky.cookie or f"proxysite_{pool.name}"


def _pool(spec: document.Pool, secret: bytes) -> CompiledPool:
    backends = tuple(_backend(backend, spec, secret) for backend in spec.backends)
    mode = spec.host.mode
    return CompiledPool(
        name=spec.name,
        spec=spec,
        cookie=b"" if spec.sticky.mode is StickyMode.OFF else sticky_cookie(spec).encode(),
        keeps_host=mode is HostMode.PRESERVE,
        host=spec.host.value.encode() if mode is HostMode.FIXED else b"",
        keepalive_connections=spec.keepalive_connections,
        backends=backends,
        by_token=MappingProxyType({backend.token: backend for backend in backends}),
    )


def _backend(spec: document.Backend, pool: document.Pool, secret: bytes) -> CompiledBackend:
    key = f"{pool.name}/{spec.address}"
    own = spec.max_in_flight
    return CompiledBackend(
        key=key,
        pool=pool.name,
        spec=spec,
        unix=spec.unix,
        host=_host(spec),
        tls=spec.scheme is Scheme.HTTPS,
        max_in_flight=pool.max_in_flight if own is None else own,
        token=hmac.digest(secret, key.encode(), "sha256").hex().encode(),
        seed=stable_hash(spec.address.encode()),
    )


def _host(spec: document.Backend) -> bytes:
    own = 443 if spec.scheme is Scheme.HTTPS else 80
    address = spec.hostname if spec.unix else spec.address
    return (address.removesuffix(f":{own}") if spec.port == own else address).encode()


def _route(spec: document.Route, pool: CompiledPool) -> CompiledRoute:
    return CompiledRoute(
        name=spec.name,
        spec=spec,
        pool=pool,
        prefix=spec.path_prefix.encode(),
        methods=frozenset(method.encode() for method in spec.methods),
        conditions=tuple(_condition(condition) for condition in spec.conditions),
        rewrite=_rewrite(spec),
        connect_timeout_s=_own(spec.connect_timeout_s, pool.spec.connect_timeout_s),
        response_timeout_s=_own(spec.response_timeout_s, pool.spec.response_timeout_s),
        exchange_timeout_s=_own(spec.exchange_timeout_s, pool.spec.exchange_timeout_s),
        tunnel_timeout_s=_own(spec.tunnel_timeout_s, pool.spec.tunnel_timeout_s),
        max_body_bytes=spec.max_body_bytes,
        upgrades=frozenset(protocol.encode() for protocol in spec.upgrades),
        request_set=_pairs(spec.request_headers),
        request_remove=_names(spec.request_headers),
        response_set=_pairs(spec.response_headers),
        response_remove=_names(spec.response_headers),
    )


def _own(own: float | None, inherited: float) -> float:
    return inherited if own is None else own


def _condition(spec: document.Condition) -> CompiledCondition:
    return CompiledCondition(
        spec=spec, header=spec.header.lower().encode(), value=spec.value.encode()
    )


def _rewrite(spec: document.Route) -> tuple[int, bytes] | None:
    if spec.prefix_mode is PrefixMode.KEEP:
        return None
    put = spec.prefix_replacement if spec.prefix_mode is PrefixMode.REPLACE else ""
    # "/" stands for no prefix at all: the path behind it begins with a slash of its own.
    return len(spec.path_prefix.rstrip("/")), put.rstrip("/").encode()


def _pairs(edit: document.HeaderEdit) -> HeaderPairs:
    return tuple((name.lower().encode(), value.encode()) for name, value in edit.set)


def _names(edit: document.HeaderEdit) -> frozenset[bytes]:
    return frozenset(name.lower().encode() for name in edit.remove)
