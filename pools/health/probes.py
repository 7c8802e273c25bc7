"""One probe of one backend: what was asked, and what came of it in words.

Rules:
- A probe never raises and never takes longer than the pool's `timeout_s`: name, connection,
  handshake, head, body and redirects share one deadline.
- Its connection is closed on every way out, a cancelled task's too.
- Proxies and anything else of the environment are not used.
- What this process itself lacks says nothing of a backend: such a result is `ours`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pools.core.document import Backend, Pool, ProbeKind
from pools.health.asking import certificates, http, talk, words
from pools.health.asking.course import Course, Step
from pools.health.asking.dial import Dial
from pools.health.asking.link import FAREWELL_S
from pools.resolver import Resolver
from pools.wire.errors import UpstreamError

__all__ = ["Asker", "Result", "Step", "probe"]

logger = logging.getLogger("pools.health")

HELD_UP_S = 0.5  # a probe that ends so late was not the backend's to end
SWEEP_S = 60.0  # between looks for names that nobody asks for any more

_ASK: dict[ProbeKind, Callable[[Dial, Pool, Backend, Course], Awaitable[str]]] = {
    ProbeKind.HTTP: http.ask,
    ProbeKind.TCP: talk.ask_tcp,
    ProbeKind.TLS: talk.ask_tls,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`reason` is words for people; `code` is the HTTP status, where there was one.

    `certificate_until`: of the certificate that a handshake met. `ours`: the probe failed
    for what this process lacked (files, memory, its turn on the processor); it says nothing
    of the backend, and nothing should be made of it.
    """

    ok: bool
    reason: str
    latency_ms: float
    code: int | None = None
    timed_out: bool = False
    certificate_until: datetime | None = None
    ours: bool = False


class Asker:
    """Probes on one loop: its names and TLS contexts are kept from one to the next."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._resolver = Resolver(loop)
        self._dial = Dial(loop, self._resolver)
        self._sweep_at = loop.time() + SWEEP_S

    async def ask(
        self, pool: Pool, backend: Backend, steps: list[Step] | None = None
    ) -> Result:
        """Ask a backend as its pool's probe says; kind off is for the caller to leave out.

        `steps`, where given, gets what was done, step by step.
        """
        self._sweep()
        course = Course(steps)
        try:
            result = await self._ask(pool, backend, course)
            if course.link is not None:
                left_s = pool.probe.timeout_s - course.took_s()
                await course.link.leave(
                    within_s=min(FAREWELL_S, left_s),
                    first=pool.probe.kind is not ProbeKind.HTTP,
                )
        finally:
            course.close()
        return result

    async def _ask(self, pool: Pool, backend: Backend, course: Course) -> Result:
        """The connection stays open only where there is an answer."""
        spec = pool.probe
        ok = answered = timed_out = ours = False
        try:
            async with asyncio.timeout(spec.timeout_s) as time:
                reason = await _ASK[spec.kind](self._dial, pool, backend, course)
            ok = answered = True
        except words.Unmet as unmet:
            reason, answered = str(unmet), True
        except TimeoutError as error:
            timed_out = True
            if time.expired():
                reason = f"timed out after {spec.timeout_s:g} s {course.doing}"
                ours = course.took_s() > spec.timeout_s + HELD_UP_S
            else:
                reason = words.of(error)  # TCP's own time was over first
        except (OSError, UpstreamError) as error:
            reason, ours = words.of(error), words.is_ours(error)
        except Exception as error:
            logger.exception("probing %s/%s", pool.name, backend.address)
            reason, ours = words.of(error), True
        latency_ms = course.took_s() * 1000
        if not ok:
            course.done(reason)
        if not answered:
            course.close()
        if ok:
            reason = _warned(reason, course.certificate_until, spec.certificate_days)
        return Result(
            ok=ok,
            reason=words.printable(reason),
            latency_ms=latency_ms,
            code=course.code,
            timed_out=timed_out,
            certificate_until=course.certificate_until,
            ours=ours,
        )

    def _sweep(self) -> None:
        now = self._loop.time()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._resolver.sweep(now)


def probe(pool: Pool, backend: Backend, steps: list[Step] | None = None) -> Result:
    """`Asker.ask` for code without a loop."""

    async def ask() -> Result:
        return await Asker(asyncio.get_running_loop()).ask(pool, backend, steps)

    return asyncio.run(ask())


def _warned(reason: str, certificate_until: datetime | None, days: int) -> str:
    if certificate_until is None:
        return reason
    warning = certificates.warning(certificate_until, days, datetime.now(UTC))
    return f"{reason}; {warning}" if warning else reason
