"""The parts that a proxy is made of, each told apart: who is there, and what is missing.

Rules:
- A part that is missing is not blamed on another: without the broker, beat and workers live
  and say so themselves; without beat, workers live and get no ticks.
- What cannot be told (`ok` None) is said to be so. While the database is away that is all of
  the processes, but for the worker and the beat that touch their files on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.control import reports
from pools.control.processes import GONE_AFTER_S, Told
from pools.models.process import ProcessKind

# Beat ticks each second: who has not for so long does not do its work.
LATE_S = 10.0
_FRESH_FILE_S = 30.0
_MOST = 5  # processes, named in a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """`ok` None: it cannot be told. `says` who is there or what is missing, `since` when it
    is, where that is known; `mend` is what to do about it."""

    name: str
    ok: bool | None
    says: str
    since: datetime | None = None
    mend: str = ""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "ok": self.ok,
            "says": self.says,
            "since": reports.text(self.since) if self.since else None,
            "mend": self.mend,
        }


def broker(url: str, problem: str, processes: Sequence[Told]) -> Component:
    """By who was asked directly (`problem` of that), and what beat and workers say of it."""
    found = [f"{problem} ({url})"] if problem else []
    ticking = _of(processes, ProcessKind.BEAT) + _of(processes, ProcessKind.WORKER)
    found += [f"{told}: {_broker_problem(told)}" for told in ticking if _broker_problem(told)]
    if not found:
        return Component(name="broker", ok=True, says=url)
    return Component(
        name="broker",
        ok=False,
        says="; ".join(found[:_MOST]),
        since=max((at for told in ticking if (at := _last(told))), default=None),
        mend=_(
            "bring it back: beat and workers connect again by themselves (REDIS_URL, or "
            "the disk of DATA_DIR)"
        ),
    )


def ticking(processes: Sequence[Told], *, broker_ok: bool | None) -> list[Component]:
    """Beat and the workers."""
    beats = _of(processes, ProcessKind.BEAT)
    # Who gets no ticks where none are sent, or where they have no way, does what it can. Of a
    # beat that has not told of itself for a while nobody knows what it sends.
    sent = broker_ok is not False and any(_idle_s(told) + told.age_s < LATE_S for told in beats)
    return [_beat(processes, broker_ok), _worker(processes, sent=sent)]


def traffic(processes: Sequence[Told]) -> list[Component]:
    """Gateways and web processes. One of the two is enough: a site may need no more."""
    there = {kind: _of(processes, kind) for kind in (ProcessKind.GATEWAY, ProcessKind.WEB)}
    if not any(there.values()):
        since = _gone_since(processes, *there)
        return [
            Component(
                name="gateway",
                ok=False,
                says=_nobody(_("gateway or web process"), processes, *there),
                since=since,
                mend=_start(ProcessKind.GATEWAY),
            )
        ]
    return [_serving(kind, found, processes) for kind, found in there.items()]


def without_database(data_dir: Path | None) -> list[Component]:
    """What can be told of beat and worker by the files that they touch."""
    return [_by_file(kind, data_dir) for kind in (ProcessKind.BEAT, ProcessKind.WORKER)]


def probing(processes: Sequence[Told]) -> dict[str, Any]:
    """Whether anybody probes, by what beat and workers told of themselves; for JSON."""
    found = [broker("the broker", "", processes)]
    found += ticking(processes, broker_ok=found[0].ok)
    return {
        "ok": all(each.ok for each in found),
        "why": "; ".join(each.says for each in found if not each.ok),
        "beats": len(_of(processes, ProcessKind.BEAT)),
        "workers": len(_of(processes, ProcessKind.WORKER)),
    }


# --- one of them -----------------------------------------------------------------------------


def _beat(processes: Sequence[Told], broker_ok: bool | None) -> Component:
    name = ProcessKind.BEAT.value
    found = _of(processes, ProcessKind.BEAT)
    if not found:
        return _missing(ProcessKind.BEAT, processes)
    sends = [told for told in found if _idle_s(told) < LATE_S]
    if not sends and broker_ok and not any(map(_broker_problem, found)):
        told = min(found, key=_idle_s)
        return Component(
            name=name,
            ok=False,
            says=_("%(process)s has sent no tick for %(seconds).0f s")
            % {"process": told, "seconds": _idle_s(told)},
            since=_last(told),
            mend=_("restart beat"),
        )
    says = _names(found)
    if len(found) > 1:
        says += " " + _("(one is enough; pools are probed no more often for it)")
    if not sends:
        says = _("%(names)s, which cannot send without the broker") % {"names": says}
    return Component(name=name, ok=True, says=says)


def _worker(processes: Sequence[Told], *, sent: bool) -> Component:
    name = ProcessKind.WORKER.value
    found = _of(processes, ProcessKind.WORKER)
    if not found:
        return _missing(ProcessKind.WORKER, processes)
    if any(_idle_s(told) < LATE_S for told in found):
        return Component(name=name, ok=True, says=_names(found))
    if not sent:
        says = _("%(names)s, without ticks") % {"names": _names(found)}
        return Component(name=name, ok=True, says=says)
    told = min(found, key=_idle_s)
    return Component(
        name=name,
        ok=False,
        says=_("%(process)s has had no tick for %(seconds).0f s, though beat sends them")
        % {"process": told, "seconds": _idle_s(told)},
        since=_last(told),
        mend=_("restart the worker, on beat's broker (REDIS_URL, or the same DATA_DIR)"),
    )


def _serving(kind: ProcessKind, found: Sequence[Told], processes: Sequence[Told]) -> Component:
    if not found:
        return Component(name=kind.value, ok=True, says=_("none"))
    gone = [told for told in processes if told.kind is kind and not told.living]
    says = _names(found)
    if gone:
        says += _("; %(names)s ended without a word") % {"names": _names(gone)}
    return Component(name=kind.value, ok=True, says=says)


def _by_file(kind: ProcessKind, data_dir: Path | None) -> Component:
    """A file that is not fresh says nothing: the broker may be away too, or the process on
    another machine."""
    try:
        if data_dir is None:
            raise FileNotFoundError
        touched = (data_dir / f"{kind}.alive").stat().st_mtime
    except OSError:
        says = _("cannot be told without the database")
        return Component(name=kind.value, ok=None, says=says)
    age_s = time.time() - touched
    if age_s < _FRESH_FILE_S:
        says = _("at work on this machine, by its file")
        return Component(name=kind.value, ok=True, says=says)
    return Component(
        name=kind.value,
        ok=None,
        says=_("did nothing on this machine lately; more cannot be told without the database"),
        since=datetime.fromtimestamp(touched, UTC),
    )


def _missing(kind: ProcessKind, processes: Sequence[Told]) -> Component:
    return Component(
        name=kind.value,
        ok=False,
        says=_nobody(kind.value, processes, kind),
        since=_gone_since(processes, kind),
        mend=_start(kind),
    )


def _nobody(what: str, processes: Sequence[Told], *kinds: ProcessKind) -> str:
    ages = [told.age_s for told in processes if told.kind in kinds]
    if not ages:
        return _("no %(what)s has told of itself") % {"what": what}
    return _("no %(what)s has told of itself for %(seconds).0f s") % {
        "what": what,
        "seconds": max(min(ages), GONE_AFTER_S),
    }


def _start(kind: ProcessKind) -> str:
    match kind:
        case ProcessKind.BEAT:
            return _("start beat: celery -A PROJECT beat (manage.py serve has one)")
        case ProcessKind.WORKER:
            return _("start a worker: celery -A PROJECT worker (manage.py serve has one)")
    return _("start manage.py gateway, or manage.py serve")


def _gone_since(processes: Sequence[Told], *kinds: ProcessKind) -> datetime | None:
    return max((told.seen_at for told in processes if told.kind in kinds), default=None)


def _of(processes: Sequence[Told], kind: ProcessKind) -> list[Told]:
    """The living ones of a kind."""
    return [told for told in processes if told.kind is kind and told.living]


def _names(processes: Sequence[Told]) -> str:
    names = [told.name for told in processes[:_MOST]]
    if len(processes) > _MOST:
        rest = len(processes) - _MOST
        names.append(ngettext("%(count)d more", "%(count)d more", rest) % {"count": rest})
    return ", ".join(names)


def _broker_problem(told: Told) -> str:
    found = told.report.get("broker")
    return found if isinstance(found, str) else ""


def _idle_s(told: Told) -> float:
    """How long a process has done nothing, as it said itself."""
    found = told.report.get("idle_s")
    return float(found) if isinstance(found, int | float) else 0.0


def _last(told: Told) -> datetime | None:
    """When it last did something."""
    found = told.report.get("last_tick_at") or told.report.get("last_sent_at")
    try:
        return datetime.fromisoformat(found) if isinstance(found, str) else None
    except ValueError:
        return None
