"""`manage.py backend probe`: probes now, step by step. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import cast

from django.core.management.base import CommandError
from django.db import Error
from rich.console import Console
from rich.markup import escape

from pools.control import readings
from pools.core import document
from pools.core.document import ProbeKind
from pools.core.errors import DocumentError
from pools.health import now
from pools.health.now import Job, Probed
from pools.management import terminal
from pools.models import Backend, Pool

UNHEALTHY, WRONG = 1, 2


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
    return now.ask(jobs)


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


def _jobs(target: str) -> list[Job]:
    name, slash, address = target.partition("/")
    pool = Pool.objects.filter(name=name).first()
    rows = list(pool.backends.select_related(*readings.WITH)) if pool else []
    if slash:
        rows = [row for row in rows if row.address == address]
    if pool is None or (slash and not rows):
        raise _wrong(_nowhere(target, bool(slash)))
    if not rows:
        raise _wrong(f"pool {name} has no backends")
    if pool.probe_kind == ProbeKind.OFF:
        raise _wrong(f"pool {name} is not probed: its probe is off")
    spec = cast(document.Pool, pool.part())
    return [now.job(row, spec) for row in rows]


def _nowhere(target: str, one: bool) -> str:
    keys = [row.key for row in Backend.objects.select_related("pool")]
    pools = list(Pool.objects.values_list("name", flat=True))
    near = get_close_matches(target, keys if one else pools)
    if not near and one:  # a name of the pool alone is often all that is right
        near = [key for key in keys if key.startswith(target.partition("/")[0] + "/")][:3]
    mend = f"did you mean {' or '.join(near)}?" if near else "manage.py config export has all"
    return f"there is no {'backend' if one else 'pool'} {target!r}: {mend}"


def _took(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def _wrong(text: str) -> CommandError:
    return CommandError(text, returncode=WRONG)
