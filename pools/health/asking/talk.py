"""Probes by TCP and TLS: a connection, what is said on it, and what must come back."""

from __future__ import annotations

import asyncio
from functools import lru_cache

from pools.core import probe_fields
from pools.core.document import Backend, Pool
from pools.health.asking.course import Course, Phase
from pools.health.asking.dial import Dial
from pools.health.asking.words import Unmet

_SHOWN = 60


async def ask_tcp(dial: Dial, pool: Pool, backend: Backend, course: Course) -> str:
    """What was found, in words; raises Unmet and OSError."""
    spec = pool.probe
    link = await dial.connect(pool, backend, course)
    if spec.send:
        said = _bytes(spec.send)
        course.enter(Phase.SEND)
        await link.send(said)
        course.done(f"{len(said)} bytes")
    if not spec.expect:
        return "connected"
    expected, heard = _bytes(spec.expect), bytearray()
    course.enter(Phase.ANSWER)
    while expected not in heard:
        if len(heard) >= spec.body_bytes:
            course.done(_shown(heard))
            raise Unmet(f"the expected answer is not in the first {spec.body_bytes} bytes")
        if heard:
            course.turn(Phase.ANOTHER)
        try:
            data = await link.receive()
        except asyncio.CancelledError:
            if heard:  # the time is over; else there is nothing to show
                course.done(_shown(heard))
            raise
        heard += data[: spec.body_bytes - len(heard)]
        if not data:
            course.done(_shown(heard))
            raise Unmet(
                "closed before the expected answer" if heard else "closed without an answer"
            )
    course.done(_shown(heard))
    return "answered as expected"


async def ask_tls(dial: Dial, pool: Pool, backend: Backend, course: Course) -> str:
    """As ask_tcp."""
    link = await dial.connect(pool, backend, course)
    await dial.secure(pool, backend, course, link)
    return f"{link.tls_version} handshake passed"


@lru_cache(maxsize=1024)
def _bytes(text: str) -> bytes:
    return probe_fields.unescaped(text)


def _shown(heard: bytes | bytearray) -> str:
    """What came, for people: its begin, with escapes."""
    cut = "..." if len(heard) > _SHOWN else ""
    return f"{len(heard)} bytes: {ascii(bytes(heard[:_SHOWN]))[2:-1]}{cut}"
