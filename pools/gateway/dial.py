"""New connections to backends."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Hashable

from pools import net
from pools.core.compiled import CompiledBackend, CompiledPool
from pools.core.retry import FailureKind
from pools.gateway.idle import IdleConnections
from pools.gateway.upstream import Upstream
from pools.resolver import Resolver
from pools.wire.errors import UpstreamError

logger = logging.getLogger("pools.gateway")

MOST_EACH_S = 1.0  # for an address while there are others


def key_of(backend: CompiledBackend, pool: CompiledPool) -> Hashable:
    """What must be equal for a connection to serve: with TLS also how it was checked."""
    return (backend.key, pool.spec.tls) if backend.tls else backend.key


class Dialler:
    """Makes connections. Resolution, all addresses and the handshake share one time."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, idle: IdleConnections, resolver: Resolver
    ) -> None:
        self._loop = loop
        self._idle = idle
        self._resolver = resolver

    async def connect(
        self, backend: CompiledBackend, pool: CompiledPool, *, timeout_s: float
    ) -> Upstream:
        """A new connection; raises UpstreamError of kind CONNECT."""
        try:
            async with asyncio.timeout(timeout_s):
                upstream = await self._connect(backend, pool, timeout_s)
        except TimeoutError:
            raise _cannot(f"timed out after {timeout_s:g} s") from None
        except OSError as error:  # of TLS too
            # A crowd of clients uses them up, and must get nobody ejected.
            raise _cannot(net.words(error), ours=error.errno in net.OURS) from error
        except Exception as error:  # a request must not wait for ever for what broke here
            logger.exception("connecting to %s", backend.key)
            raise _cannot(repr(error)) from error
        if upstream.closed:  # before anything was sent
            raise _cannot("it was closed at once")
        return upstream

    async def _connect(
        self, backend: CompiledBackend, pool: CompiledPool, timeout_s: float
    ) -> Upstream:
        key = key_of(backend, pool)
        context: ssl.SSLContext | None = None
        server_name: str | None = None
        if backend.tls:
            context = net.tls_context(pool.spec.tls)
            server_name = pool.spec.tls.server_name or backend.spec.hostname

        def protocol() -> Upstream:
            return Upstream(key, self._idle)

        if backend.unix:
            _, upstream = await self._loop.create_unix_connection(
                protocol, backend.unix, ssl=context, server_hostname=server_name
            )
            return upstream
        host, port = backend.spec.host, backend.spec.port
        addresses = await self._resolver.resolve(host)
        for address in addresses[:-1]:
            try:
                # A part of the time for each, so that a silent address leaves some for others.
                async with asyncio.timeout(min(MOST_EACH_S, timeout_s / len(addresses))):
                    _, upstream = await self._loop.create_connection(
                        protocol, address, port, ssl=context, server_hostname=server_name
                    )
            except OSError:  # TimeoutError is one
                continue
            self._resolver.prefer(host, address)
            return upstream
        _, upstream = await self._loop.create_connection(
            protocol, addresses[-1], port, ssl=context, server_hostname=server_name
        )
        self._resolver.prefer(host, addresses[-1])
        return upstream


def _cannot(reason: str, *, ours: bool = False) -> UpstreamError:
    why = f"cannot connect to the backend: {reason}"
    return UpstreamError(FailureKind.CONNECT, why, ours=ours)
