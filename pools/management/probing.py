"""`manage.py backend probe`: probes now, step by step. Nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, cast

from django.core.management.base import CommandError
from django.db import Error
from rich.console import Console
from rich.markup import escape

from pools.control import verdicts
from pools.core import document, fields
from pools.core.document import AdminState, ProbeKind
from pools.core.errors import DocumentError
from pools.core.probing import ProbeState, Verdict, observe
from pools.health.probes import Asker, Result, Step
from pools.management import terminal
from pools.models import Backend, Pool

UNHEALTHY, WRONG = 1, 2
_AT_ONCE = 100


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    key: str
    pool: document.Pool
    backend: document.Backend
    before: ProbeState


def probe(target: str) -> list[Probed]:
    """Probe a backend ("web/10.0.0.1:8000") or all of a pool ("web"), by the rows.

    Raises CommandError with what is wrong, in one line.
    """
    try:
        jobs = _jobs(target)
    except DocumentError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        raise _wrong(f"{target} does not hold: {problems}") from None
    except Error as error:
        reason = " ".join(str(error).split())
        raise _wrong(f"the database: {reason} (is it there, and is `migrate` done?)") from None
    return asyncio.run(_ask(jobs))


def show(probed: Sequence[Probed], console: Console) -> None:
    """One with its steps, several a line each."""

    def say(text: str) -> None:
        console.print(escape(text))

    if len(probed) > 1:
        rows = [
            (each.key, _took(each.result.latency_ms), each.result.reason, each.would_be)
            for each in probed
        ]
        terminal.table(console, ("backend", "took", "found", "would be"), rows)
        healthy = sum(each.result.ok for each in probed)
        say(f"{healthy} of {len(probed)} healthy.")
        return
    (one,) = probed
    say(f"{one.key}: {one.asked}")
    steps = [
        (step.name, _took(step.took_ms), _took(step.at_ms), step.detail) for step in one.steps
    ]
    terminal.table(console, ("step", "took", "at", "what"), steps)
    verdict = "healthy" if one.result.ok else "not healthy"
    say(f"{verdict}: {one.result.reason}, after {_took(one.result.latency_ms)}")
    say(f"would be: {one.would_be}")


def _jobs(target: str) -> list[_Job]:
    name, slash, address = target.partition("/")
    pool = Pool.objects.filter(name=name).prefetch_related("backends__health").first()
    rows = list(pool.backends.all()) if pool else []
    if slash:
        rows = [row for row in rows if row.address == address]
    if pool is None or (slash and not rows):
        raise _wrong(_nowhere(target, bool(slash)))
    if not rows:
        raise _wrong(f"pool {name} has no backends")
    if pool.probe_kind == ProbeKind.OFF:
        raise _wrong(f"pool {name} is not probed: its probe is off")
    spec = cast(document.Pool, pool.part())
    now = verdicts.health_map()
    found = []
    for row in rows:
        row.pool = pool
        before = _state(row, now.get(row.key, Verdict.UNKNOWN))
        backend = cast(document.Backend, row.part())
        found.append(_Job(key=row.key, pool=spec, backend=backend, before=before))
    return found


def _state(row: Backend, now: Verdict) -> ProbeState:
    """What the next probe is judged by; verdicts that went stale count for nothing."""
    if now is Verdict.UNKNOWN or not hasattr(row, "health"):
        return ProbeState()
    return ProbeState(now, row.health.successes, row.health.failures)


def _nowhere(target: str, one: bool) -> str:
    keys = [row.key for row in Backend.objects.select_related("pool")]
    pools = list(Pool.objects.values_list("name", flat=True))
    near = get_close_matches(target, keys if one else pools)
    if not near and one:  # a name of the pool alone is often all that is right
        near = [key for key in keys if key.startswith(target.partition("/")[0] + "/")][:3]
    mend = f"did you mean {' or '.join(near)}?" if near else "manage.py config export has all"
    return f"there is no {'backend' if one else 'pool'} {target!r}: {mend}"


async def _ask(jobs: Sequence[_Job]) -> list[Probed]:
    asker = Asker(asyncio.get_running_loop())
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(job: _Job) -> Probed:
        steps: list[Step] = []
        async with turns:
            result = await asker.ask(job.pool, job.backend, steps)
        return Probed(
            key=job.key,
            asked=_asked(job.pool, job.backend),
            result=result,
            would_be=_would_be(job, result),
            steps=steps,
        )

    return list(await asyncio.gather(*map(ask, jobs)))


def _asked(pool: document.Pool, backend: document.Backend) -> str:
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


def _would_be(job: _Job, result: Result) -> str:
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


def _took(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def _wrong(text: str) -> CommandError:
    return CommandError(text, returncode=WRONG)
