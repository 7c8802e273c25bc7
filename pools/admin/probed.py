"""What backends answered to probes that were asked for now, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from django.utils.translation import gettext as _

from pools.core import document
from pools.core.document import ProbeKind
from pools.core.errors import DocumentError
from pools.health import now
from pools.health.now import Job, Probed
from pools.health.probes import Step
from pools.models import Backend, Pool

MOST = 50  # backends of one page
WITHIN_S = 5.0  # whatever a pool allows: somebody is waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Of one backend. `row` None: it is not saved. `ok` None: it was not asked."""

    key: str
    ok: bool | None
    reason: str
    row: Backend | None = None
    asked: str = ""
    took: str = ""
    would_be: str = ""
    steps: Sequence[Step] = ()


def ask(rows: Sequence[Backend]) -> list[Answer]:
    """Probe all of these now, at once. Of rows with what health.WITH names."""
    parts: dict[int, document.Pool] = {}
    jobs: dict[int, Job] = {}
    unasked: dict[int, str] = {}
    for row in rows:
        if row.pool.probe_kind == ProbeKind.OFF:
            unasked[row.pk] = _("not asked: the probe of pool %(pool)s is off") % {
                "pool": row.pool.name
            }
            continue
        try:
            if row.pool_id not in parts:
                parts[row.pool_id] = cast(document.Pool, row.pool.part())
            jobs[row.pk] = now.job(row, parts[row.pool_id])
        except DocumentError as error:
            unasked[row.pk] = f"{error.problems[0]}"
    results = dict(zip(jobs, now.ask(list(jobs.values()), within_s=WITHIN_S), strict=True))
    return [_answer(row, results, unasked) for row in rows]


def _answer(row: Backend, results: Mapping[int, Probed], unasked: Mapping[int, str]) -> Answer:
    if row.pk in unasked:
        return Answer(key=row.key, row=row, ok=None, reason=unasked[row.pk])
    return told(results[row.pk], row)


def told(probed: Probed, row: Backend | None = None) -> Answer:
    return Answer(
        key=probed.key,
        row=row,
        ok=None if probed.result.ours else probed.result.ok,
        reason=probed.result.reason,
        asked=probed.asked,
        took=took(probed.result.latency_ms),
        would_be=probed.would_be if row else "",  # nothing is known of it before
        steps=probed.steps,
    )


def took(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def unsaved(pool: Pool, backends: Sequence[document.Backend]) -> list[Answer]:
    """Ask backends that are not saved yet, as the pool would; by TCP where it asks none.

    Raises DocumentError where the pool's settings do not hold.
    """
    spec = cast(document.Pool, pool.part())
    if spec.probe.kind is ProbeKind.OFF:
        plain = document.Probe(kind=ProbeKind.TCP)
        spec = document.Pool(name=spec.name, tls=spec.tls, probe=plain)
    jobs = [Job(key=one.address, pool=spec, backend=one) for one in backends]
    return [told(probed) for probed in now.ask(jobs, within_s=WITHIN_S)]
