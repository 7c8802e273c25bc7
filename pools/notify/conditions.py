"""What is wrong now, by what probes found and processes tell.

Rules:
- A backend that is ready and down is an alert. One in drain or maintenance is none: that
  is what its operator wants. Nor is one whose verdict is unknown.
- A pool that an enabled route leads to is empty where none of its backends may get a
  request: all of its ready ones are down, or none is ready. In panic it is where few of
  them are left and health is ignored, by their verdicts or by what a process tells.
- A pool that should be probed and has not been for three intervals is not probed. What was
  known of it before is neither right nor wrong then: its alerts stay as they are, and none
  begins.
- A certificate is near its end when it has fewer days left than its pool allows; that of a
  gateway, fewer than `GATEWAY_DAYS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pools.control import processes, verdicts
from pools.core import document, passive
from pools.core.document import AdminState, ProbeKind
from pools.core.fields import host_port
from pools.core.probing import Verdict
from pools.models import Backend, BackendHealth, Pool, Process, Route
from pools.models.alert import AlertKind
from pools.models.process import ProcessKind
from pools.notify.words import counted, moment

Key = tuple[str, str]  # kind and subject of an alert

GATEWAY_DAYS = document.Probe().certificate_days


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that is wrong, `since` when at the latest."""

    kind: AlertKind
    subject: str
    pool: str
    detail: str
    since: datetime

    @property
    def key(self) -> Key:
        return (self.kind.value, self.subject)


@dataclass(slots=True)
class Seen:
    """What is wrong, by key, and the keys of which nothing can be said."""

    wrong: dict[Key, Condition] = field(default_factory=dict)
    vague: set[Key] = field(default_factory=set)
    states: dict[str, AdminState] = field(default_factory=dict)
    found: dict[str, Verdict] = field(default_factory=dict)
    pools: set[str] = field(default_factory=set)

    def add(self, condition: Condition) -> None:
        self.wrong[condition.key] = condition

    def ending(self, kind: str, subject: str) -> str:
        """Why what was wrong is no longer, in words; "" where all is well."""
        if kind in (AlertKind.BACKEND_DOWN, AlertKind.CERTIFICATE) and "/" in subject:
            state = self.states.get(subject)
            if state is None:
                return "it is no longer configured"
            if state is not AdminState.READY:
                return f"it is in {state}"
            if kind == AlertKind.BACKEND_DOWN and self.found[subject] is not Verdict.UP:
                return "it is no longer probed"
            return ""
        if kind == AlertKind.CERTIFICATE:
            return ""
        return "" if subject in self.pools else "it is no longer configured"


@dataclass(slots=True)
class _Member:
    key: str
    state: AdminState
    verdict: Verdict
    weight: int
    backup: bool

    @property
    def ready(self) -> bool:
        """As pools.core.runtime has it."""
        return self.state is AdminState.READY and self.weight > 0


@dataclass(slots=True)
class _Group:
    """A pool with its backends. `stale`: its verdicts are no longer news."""

    name: str
    probed: bool
    stale: bool
    last: datetime | None
    days: int
    panic_percent: int
    routed: bool
    members: list[_Member] = field(default_factory=list)


def read(now: datetime) -> Seen:
    """What is wrong at `now`; seven queries, whatever the number of pools."""
    groups = _groups(now)
    seen = Seen(pools={group.name for group in groups.values()})
    for group in groups.values():
        for member in group.members:
            seen.states[member.key] = member.state
            seen.found[member.key] = member.verdict
        _not_probed(seen, group, now)
    _down(seen, groups, now)
    panicking = _panicking(now)
    for group in groups.values():
        if group.routed:
            _emptiness(seen, group, panicking.get(group.name, ""), now)
    probed = {pk: (group.name, group.days) for pk, group in groups.items() if group.probed}
    for subject, pool, until in ending(probed, now):
        seen.add(_certificate(subject, pool, until, now))
    return seen


def _groups(now: datetime) -> dict[int, _Group]:
    routed = set(Route.objects.filter(enabled=True).values_list("pool_id", flat=True))
    rows = Pool.objects.order_by().values_list(
        "pk",
        "name",
        "probe_kind",
        "probe_interval_s",
        "probe_certificate_days",
        "passive_panic_percent",
        "schedule__done_at",
        "schedule__next_at",
    )
    groups = {}
    for pk, name, kind, interval_s, days, percent, done_at, next_at in rows:
        probed = kind != ProbeKind.OFF
        since = done_at or next_at  # the first round is due when it is due
        groups[pk] = _Group(
            name=name,
            probed=probed,
            stale=probed and (not since or now >= verdicts.stale_at(since, interval_s)),
            last=done_at,
            days=days,
            panic_percent=percent,
            routed=pk in routed,
        )
    found = verdicts.read(now).verdicts
    columns = ("pool_id", "host", "port", "state", "weight", "backup")
    for pk, host, port, state, weight, backup in Backend.objects.order_by().values_list(
        *columns
    ):
        if group := groups.get(pk):  # or it came after the pools were read
            key = f"{group.name}/{host_port(host, port)}"
            verdict = found.get(key, Verdict.UNKNOWN)
            member = _Member(key, AdminState(state), verdict, weight, backup)
            group.members.append(member)
    return groups


def _not_probed(seen: Seen, group: _Group, now: datetime) -> None:
    if group.stale and any(member.state is not AdminState.MAINT for member in group.members):
        last = f"the last round ended {moment(group.last)}" if group.last else "never yet"
        detail = f"{last}; its backends count as usable, whatever they are"
        seen.add(_of_pool(AlertKind.NOT_PROBED, group.name, detail, now))


def _down(seen: Seen, groups: dict[int, _Group], now: datetime) -> None:
    rows = BackendHealth.objects.filter(verdict=Verdict.DOWN).order_by()
    columns = ("backend__pool_id", "backend__host", "backend__port", "reason", "since")
    told = {
        f"{groups[pk].name}/{host_port(host, port)}": (reason, since)
        for pk, host, port, reason, since in rows.values_list(*columns)
        if pk in groups
    }
    for group in groups.values():
        for member in group.members:
            if member.state is not AdminState.READY:
                continue
            if member.verdict is Verdict.DOWN:
                reason, since = told.get(member.key, ("", None))
                seen.add(
                    Condition(
                        kind=AlertKind.BACKEND_DOWN,
                        subject=member.key,
                        pool=group.name,
                        detail=reason,
                        since=min(since or now, now),
                    )
                )
            elif group.probed and member.verdict is Verdict.UNKNOWN:
                seen.vague.add((AlertKind.BACKEND_DOWN, member.key))


def _emptiness(seen: Seen, group: _Group, told: str, now: datetime) -> None:
    """Whether the pool is empty or in panic; `told`: that processes say it is in panic."""
    ready = [member for member in group.members if member.ready]
    usable = [member for member in ready if member.verdict is not Verdict.DOWN]
    backups = sum(member.backup for member in usable)
    empty, panic = ((kind, group.name) for kind in (AlertKind.POOL_EMPTY, AlertKind.POOL_PANIC))
    few = (
        f"{len(usable)} of {counted(len(ready), 'ready backend')} are left, and health is "
        f"ignored below {group.panic_percent} %"
    )
    # 1. Nothing is left that may get requests: whether it panics, too, nobody asks.
    if not usable:
        seen.add(_of_pool(*empty, _why_empty(group, ready), now))
        seen.vague.add(panic)
    # 2. Few are left.
    elif passive.ignores_health(
        document.Passive(panic_percent=group.panic_percent),
        primaries=len(usable) - backups,
        backups=backups,
        ready=len(ready),
    ):
        seen.add(_of_pool(*panic, few, now))
    # 3. By ejections, which processes alone know of.
    elif told:
        seen.add(_of_pool(*panic, told, now))
    if group.stale:
        seen.vague |= {empty, panic}


def _of_pool(kind: AlertKind, pool: str, detail: str, now: datetime) -> Condition:
    return Condition(kind=kind, subject=pool, pool=pool, detail=detail, since=now)


def _why_empty(group: _Group, ready: list[_Member]) -> str:
    if not group.members:
        return "it has no backends"
    if ready:
        one = len(ready) == 1
        return (
            "its only ready backend is down" if one else f"all {len(ready)} ready ones are down"
        )
    counts = Counter(
        "of weight 0" if member.state is AdminState.READY else f"in {member.state}"
        for member in group.members
    )
    parts = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    return f"none is ready: {parts}"


def _reports(kinds: tuple[ProcessKind, ...], now: datetime) -> list[dict[str, Any]]:
    """What the living processes of these kinds tell."""
    alive = Process.objects.filter(
        kind__in=kinds, seen_at__gt=now - timedelta(seconds=processes.GONE_AFTER_S)
    )
    found = alive.order_by("pk").values_list("report", flat=True)
    return [report for report in found if isinstance(report, dict)]


def _panicking(now: datetime) -> dict[str, str]:
    """The pools of which processes tell that they are in panic, and how many do."""
    reports = _reports((ProcessKind.GATEWAY, ProcessKind.WEB), now)
    counts = Counter(
        pool for report in reports for pool in set(map(str, report.get("panic") or ()))
    )
    return {
        pool: f"down or ejected are too many, {count} of {len(reports)} processes find"
        for pool, count in counts.items()
    }


def ending(
    pools: Mapping[int, tuple[str, int]], now: datetime
) -> Iterator[tuple[str, str, datetime]]:
    """Certificates near their end, each as subject, pool and end; two queries. `pools`: name
    and days by the id of each pool that is probed."""
    longest = max((days for _, days in pools.values()), default=0)
    if longest:
        rows = BackendHealth.objects.filter(
            certificate_until__lt=now + timedelta(days=longest),
            backend__state=AdminState.READY,
        )
        columns = ("backend__pool_id", "backend__host", "backend__port", "certificate_until")
        for pk, host, port, until in rows.order_by().values_list(*columns):
            name, days = pools.get(pk, ("", 0))
            if days and until < now + timedelta(days=days):
                yield f"{name}/{host_port(host, port)}", name, until
    yield from _gateways_certificates(now)


def _gateways_certificates(now: datetime) -> Iterator[tuple[str, str, datetime]]:
    ends: dict[str, datetime] = {}
    for report in _reports((ProcessKind.GATEWAY,), now):
        for told in report.get("certificates") or ():
            try:
                name, until = str(told["name"]), datetime.fromisoformat(told["until"])
            except (KeyError, TypeError, ValueError):  # of another version of the program
                continue
            if until.tzinfo and until < now + timedelta(days=GATEWAY_DAYS):
                ends[name] = min(until, ends.get(name, until))
    for name, until in ends.items():
        yield name, "", until


def _certificate(subject: str, pool: str, until: datetime, now: datetime) -> Condition:
    days = (until - now) // timedelta(days=1)
    left = f"{counted(days, 'day')} left" if days >= 0 else "which is past"
    return Condition(
        kind=AlertKind.CERTIFICATE,
        subject=subject,
        pool=pool,
        detail=f"it ends {moment(until)}, {left}",
        since=now,
    )
