"""The report of a process that carries traffic: what is not as usual in it.

    {"revision": 12, "took_s": 0.6,
     "ejected": {"web/10.0.0.1:80": {"until": "2026-11-23T09:05:08Z", "why": "5 failed ..."}},
     "panic": ["web"],
     "leaving": {"web/10.0.0.2:80": {"requests": 3, "tunnels": 1}},
     "certificates": [{"name": "example.org", "until": "2027-01-01T00:00:00Z"}],
     "listens": ["http://0.0.0.0:8080"]}

Rules:
- `took_s` is how long after the revision was made the process took it over, by the database's
  clock; a process that began with it does not tell it.
- The revision is read first: who reads of it there finds all that was in flight with a
  backend that it drains.
- `until` is by the process's own clock. It stays as it was told while it is that, to the
  second, so that nothing is written anew as time goes by.
- Certificates are those of a gateway's TLS listeners, the first to end first; `listens` are
  the addresses that it takes public traffic on.
- Reports of another version of the program may lack anything: what is not as it should be
  is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.control.processes import Report, Told
from pools.core.document import AdminState, StickyMode
from pools.core.engine import Engine
from pools.core.status import Ejection

MOST = 1000  # of a kind in one report, so that it stays small in the worst of times
_SAME = timedelta(seconds=1.5)

Certificates = Callable[[], list[dict[str, str]]]


def of(
    engine: Engine,
    before: Report,
    certificates: Certificates | None = None,
    took: tuple[int, float] | None = None,
) -> Report:
    """What is to be told now; `before` is the report before it, or empty. `took`: a revision,
    and the seconds after which it was taken over."""
    revision = engine.snapshot.revision
    notable = engine.notable()
    now, told = timezone.now(), before.get("ejected", {})
    report: Report = {
        "revision": revision,
        "ejected": {
            ejection.key: _ejection(ejection, now, told.get(ejection.key))
            for ejection in notable.ejections[:MOST]
        },
        "panic": list(notable.panic[:MOST]),
        "leaving": {
            leaving.key: {"requests": leaving.requests, "tunnels": leaving.tunnels}
            for leaving in notable.leaving[:MOST]
        },
    }
    if took and took[0] == revision:
        report["took_s"] = round(took[1], 2)
    if certificates is not None:
        report["certificates"] = certificates()
    return report


def _ejection(
    ejection: Ejection, now: datetime, earlier: dict[str, str] | None
) -> dict[str, str]:
    until = now + timedelta(seconds=ejection.for_s)
    if (
        earlier
        and earlier["why"] == ejection.why
        and abs(datetime.fromisoformat(earlier["until"]) - until) < _SAME
    ):
        return earlier
    return {"until": text(until), "why": ejection.why}


def text(at: datetime) -> str:
    """A time as reports have it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# --- what several processes told, by backend ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejected:
    """A process leaves a backend out, until then."""

    process: str
    until: datetime
    why: str

    def left_s(self, now: datetime) -> float:
        return max(0.0, (self.until - now).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """What one process has in flight with a backend that leaves."""

    process: str
    requests: int
    tunnels: int

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"process": self.process, "requests": self.requests, "tunnels": self.tunnels}


def revision(told: Told) -> int:
    found = told.report.get("revision")
    return found if isinstance(found, int) else 0


def listens(processes: Iterable[Told]) -> list[str]:
    """The URLs of listeners that carry public traffic, as their processes have them."""
    found: dict[str, None] = {}
    for told in processes:
        urls = told.report.get("listens")
        found.update((str(url), None) for url in (urls if isinstance(urls, list) else ()))
    return list(found)


def took_s(told: Told) -> float | None:
    """How long after its revision was made a process took it over, as it told."""
    found = told.report.get("took_s")
    return float(found) if isinstance(found, int | float) else None


def ejections(processes: Iterable[Told]) -> dict[str, list[Ejected]]:
    """Who is ejected by whom, by backend key."""
    found: dict[str, list[Ejected]] = {}
    for told in processes:
        for key, one in _parts(told, "ejected"):
            try:
                until = datetime.fromisoformat(one["until"])
            except (KeyError, TypeError, ValueError):
                continue
            if until.tzinfo is not None:
                ejected = Ejected(process=str(told), until=until, why=str(one.get("why", "")))
                found.setdefault(key, []).append(ejected)
    return found


def in_flight(processes: Iterable[Told]) -> dict[str, list[InFlight]]:
    """What is in flight with backends that leave, by backend key."""
    found: dict[str, list[InFlight]] = {}
    for told in processes:
        for key, one in _parts(told, "leaving"):
            counts = one.get("requests"), one.get("tunnels")
            requests, tunnels = (each if isinstance(each, int) else 0 for each in counts)
            flying = InFlight(process=str(told), requests=requests, tunnels=tunnels)
            found.setdefault(key, []).append(flying)
    return found


def panics(processes: Iterable[Told]) -> dict[str, list[str]]:
    """Which processes have a pool in panic, by its name."""
    found: dict[str, list[str]] = {}
    for told in processes:
        names = told.report.get("panic")
        for name in names if isinstance(names, list) else ():
            found.setdefault(str(name), []).append(str(told))
    return found


def _parts(told: Told, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    found = told.report.get(name)
    if not isinstance(found, dict):
        return []
    return [(key, one) for key, one in found.items() if isinstance(one, dict)]


def may_come(state: str, *, sticky: str, while_draining: bool) -> bool:
    """Whether clients that hold a backend's cookie may come to it though it leaves; of its
    admin state and its pool's stickiness."""
    return state == AdminState.DRAIN and sticky != StickyMode.OFF and while_draining


def leaving(in_flight: Sequence[InFlight], *, follow: bool, may_come: bool) -> str:
    """Whether a backend in drain or maintenance may be stopped. `follow`: all processes have
    that in force. `may_come`: clients that hold its cookie may."""
    requests = sum(flying.requests for flying in in_flight)
    tunnels = sum(flying.tunnels for flying in in_flight)
    if requests or tunnels:
        where = ", ".join(flying.process for flying in in_flight)
        what = {"what": counted(requests, tunnels), "where": where}
        return _("%(what)s in flight (%(where)s)") % what
    if not follow:
        return _("not in force in every process yet")
    if may_come:
        return _("at rest, but clients that hold its cookie may come")
    return _("safe to stop")


def counted(requests: int, tunnels: int) -> str:
    """ "3 requests and 1 tunnel"."""
    parts = []
    if requests:
        parts.append(ngettext("%(count)d request", "%(count)d requests", requests))
        parts[-1] %= {"count": requests}
    if tunnels:
        parts.append(ngettext("%(count)d tunnel", "%(count)d tunnels", tunnels))
        parts[-1] %= {"count": tunnels}
    if len(parts) == 2:
        return _("%(names)s and %(last)s") % {"names": parts[0], "last": parts[1]}
    return "".join(parts) or _("nothing")
