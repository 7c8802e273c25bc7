"""Probes that somebody asks for now, and what would come of them. Nothing is written."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from pools.control import readings
from pools.core import document, fields
from pools.core.document import AdminState, ProbeKind
from pools.core.probing import ProbeState, Verdict, observe
from pools.health.probes import Asker, Result, Step
from pools.models import Backend

AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A backend to ask as its pool's probe says; `before` is what the answer is judged by."""

    key: str
    pool: document.Pool
    backend: document.Backend
    before: ProbeState = ProbeState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A backend, the result of its probe, and what the prober would make of that."""

    key: str
    asked: str
    result: Result
    would_be: str
    steps: list[Step]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        found = asdict(self.result)
        if until := self.result.certificate_until:
            found["certificate_until"] = until.isoformat()
        return {
            "backend": self.key,
            "asked": self.asked,
            **found,
            "would_be": self.would_be,
            "steps": [asdict(step) for step in self.steps],
        }


def job(row: Backend, pool: document.Pool) -> Job:
    """Of a row with what readings.WITH names, and its pool's part.

    Raises DocumentError where the row does not hold.
    """
    reading = readings.read(row)
    before = ProbeState()
    if reading.verdict is not Verdict.UNKNOWN:  # what went stale counts for nothing
        before = ProbeState(reading.verdict, row.health.successes, row.health.failures)
    backend = cast(document.Backend, row.part())
    return Job(key=row.key, pool=pool, backend=backend, before=before)


def ask(jobs: Sequence[Job], *, within_s: float | None = None) -> list[Probed]:
    """Ask all of them, AT_ONCE at a time; for a thread without a loop.

    `within_s`: none takes longer, whatever its pool allows.
    """
    return asyncio.run(_ask([_hurried(job, within_s) for job in jobs]))


def _hurried(job: Job, within_s: float | None) -> Job:
    probe = job.pool.probe
    if within_s is None or probe.timeout_s <= within_s:
        return job
    hurried = dataclasses.replace(probe, timeout_s=within_s)
    return dataclasses.replace(job, pool=dataclasses.replace(job.pool, probe=hurried))


async def _ask(jobs: Sequence[Job]) -> list[Probed]:
    asker = Asker(asyncio.get_running_loop())
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(job: Job) -> Probed:
        steps: list[Step] = []
        async with turns:
            result = await asker.ask(job.pool, job.backend, steps)
        return Probed(
            key=job.key,
            asked=asked(job.pool, job.backend),
            result=result,
            would_be=_would_be(job, result),
            steps=steps,
        )

    return list(await asyncio.gather(*map(ask, jobs)))


def asked(pool: document.Pool, backend: document.Backend) -> str:
    """ "GET http://10.0.0.1:80/health, expects 200-399" """
    spec = pool.probe
    port = 0 if backend.unix else spec.port or backend.port
    place = fields.host_port(backend.host, port)
    match spec.kind:
        case ProbeKind.TCP:
            sends = f", sends {spec.send}" if spec.send else ""
            return f"TCP to {place}{sends}" + (
                f", expects {spec.expect}" if spec.expect else ""
            )
        case ProbeKind.TLS:
            return f"TLS handshake with {place}"
    expected = [spec.statuses]
    if spec.text:
        expected.append("its text")
    if spec.json_path:
        expected.append(f"{spec.json_path} {spec.json_value or 'in its JSON'}")
    return f"{spec.method} {backend.scheme}://{place}{spec.path}, expects {', '.join(expected)}"


def _would_be(job: Job, result: Result) -> str:
    """What the verdict would be after this probe, and how far it is from another."""
    if job.backend.state is AdminState.MAINT:
        return "unknown, as it is in maintenance and not probed"
    before = job.before.verdict
    if result.ours:
        return f"{before}, as this says nothing of the backend"
    spec = job.pool.probe
    after, flipped = observe(job.before, result.ok, rise=spec.rise, fall=spec.fall)
    if flipped:
        return f"{after.verdict}, it was {before}"
    if after.verdict is Verdict.DOWN and result.ok:
        return f"down still, {after.successes} of {spec.rise} successes"
    if after.verdict is Verdict.UP and not result.ok:
        return f"up still, {after.failures} of {spec.fall} failures"
    return f"{after.verdict}, as it is"
