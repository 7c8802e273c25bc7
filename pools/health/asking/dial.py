"""Connections to backends, for probes."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from pools import net
from pools.core import fields
from pools.core.document import Backend, Pool
from pools.health.asking import certificates, words
from pools.health.asking.course import Course, Phase
from pools.health.asking.link import Link
from pools.resolver import Resolver


class Dial:
    """Makes the connections of one loop's probes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, resolver: Resolver) -> None:
        self._loop = loop
        self._resolver = resolver

    async def connect(self, pool: Pool, backend: Backend, course: Course) -> Link:
        """A connection, which is the course's now; raises OSError.

        The addresses of a name are tried in turn; a silent one leaves the others their
        share of the time.
        """
        if backend.unix:
            return await self._to(socket.AF_UNIX, backend.unix, backend.host, course)
        port = port_of(pool, backend)
        course.enter(Phase.RESOLVE)
        addresses = await self._resolver.resolve(backend.host)
        if addresses != (backend.host,):
            course.done(", ".join(addresses))
        *others, last = addresses
        for tried, address in enumerate(others):
            share_s = (pool.probe.timeout_s - course.took_s()) / (len(addresses) - tried)
            try:
                async with asyncio.timeout(share_s):
                    link = await self._to_ip(address, port, course)
            except OSError as error:  # TimeoutError is one
                said = "no answer" if isinstance(error, TimeoutError) else words.of(error)
                course.done(f"{fields.host_port(address, port)}: {said}")
                course.close()
            else:
                self._resolver.prefer(backend.host, address)
                return link
        link = await self._to_ip(last, port, course)
        self._resolver.prefer(backend.host, last)
        return link

    async def secure(self, pool: Pool, backend: Backend, course: Course, link: Link) -> None:
        """The TLS handshake, checked as the pool's TLS says; raises OSError."""
        course.enter(Phase.HANDSHAKE)
        name = pool.tls.server_name or backend.hostname
        await link.handshake(net.tls_context(pool.tls), name)
        course.certificate_until = certificates.until(link.certificate)
        ends = course.certificate_until
        course.done(link.tls_version + (f", certificate until {ends:%Y-%m-%d}" if ends else ""))

    async def _to_ip(self, address: str, port: int, course: Course) -> Link:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return await self._to(family, (address, port), fields.host_port(address, port), course)

    async def _to(self, family: int, address: Any, shown: str, course: Course) -> Link:
        course.enter(Phase.CONNECT)
        course.link = link = Link(self._loop, family)
        await link.connect(address)
        course.done(shown)
        return link


def port_of(pool: Pool, backend: Backend) -> int:
    """Where to ask; a Unix socket has no other port to ask at."""
    return 0 if backend.unix else pool.probe.port or backend.port
