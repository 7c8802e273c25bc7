"""What people and programs read of alerts.

Rules:
- A line tells all of one alert: what, why, since when, or for how long it was so.
- What began and ended within one message is told by its end alone.
- A message is bounded: of many alerts it tells the first, and how many more there are.
- Times are UTC, in texts and in payloads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pools.control import reports
from pools.models.alert import AlertKind, Phase
from pools.notify.words import counted, duration, moment

LINES_MOST = 30
PAYLOAD_MOST = 500

_IS = {
    AlertKind.BACKEND_DOWN: "{} is down",
    AlertKind.POOL_EMPTY: "pool {} has no backend left",
    AlertKind.POOL_PANIC: "pool {} is in panic",
    AlertKind.NOT_PROBED: "pool {} is not probed",
    AlertKind.CERTIFICATE: "the certificate of {} is near its end",
}
_WAS = {
    AlertKind.BACKEND_DOWN: "{} was down",
    AlertKind.POOL_EMPTY: "pool {} had no backend left",
    AlertKind.POOL_PANIC: "pool {} was in panic",
    AlertKind.NOT_PROBED: "pool {} was not probed",
    AlertKind.CERTIFICATE: "the certificate of {} was near its end",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One alert in one phase; `ended_at` is of the phase ended alone."""

    kind: str
    subject: str
    pool: str
    detail: str
    begun_at: datetime
    ended_at: datetime | None = None
    ending: str = ""

    @property
    def phase(self) -> Phase:
        return Phase.ENDED if self.ended_at else Phase.BEGUN

    @property
    def short(self) -> str:
        """ "web/10.0.0.1:80 is down", "web/10.0.0.1:80 was down for 3 min"."""
        kind = AlertKind(self.kind)
        if self.ended_at is None:
            return _IS[kind].format(self.subject)
        lasted = duration(self.ended_at - self.begun_at)
        return f"{_WAS[kind].format(self.subject)} for {lasted}"

    @property
    def line(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        if self.ended_at is None:
            return f"{self.short}{detail} (since {moment(self.begun_at)})"
        ending = f"; {self.ending}" if self.ending else ""
        times = f"{moment(self.begun_at)} to {moment(self.ended_at)}"
        return f"{self.short}{detail} ({times}{ending})"

    def plain(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "phase": self.phase.value,
            "subject": self.subject,
            "pool": self.pool,
            "detail": self.detail,
            "begun_at": reports.text(self.begun_at),
            "ended_at": reports.text(self.ended_at) if self.ended_at else None,
            "ending": self.ending,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A line for lists and subjects, the whole text, and the same for programs."""

    subject: str
    text: str
    payload: dict[str, Any]


def compose(items: Sequence[Item], now: datetime) -> Message:
    """One message of at least one item, in their order."""
    told = _without_told_ends(items)
    begun = [item for item in told if item.phase is Phase.BEGUN]
    over = [item for item in told if item.phase is Phase.ENDED]
    if len(told) == 1:
        subject = f"over: {over[0].short}" if over else begun[0].short
        text = f"over: {over[0].line}" if over else begun[0].line
    else:
        counts = (f"{len(begun)} begun" if begun else "", f"{len(over)} over" if over else "")
        subject = f"{counted(len(told), 'alert')}: {', '.join(filter(None, counts))}"
        text = "\n".join((*_listed("begun", begun), *_listed("over", over)))
    return Message(
        subject=subject,
        text=text,
        payload={
            "type": "proxysite.alerts",
            "timestamp": reports.text(now),
            "data": {
                "alerts": [item.plain() for item in told[:PAYLOAD_MOST]],
                "more": max(len(told) - PAYLOAD_MOST, 0),
            },
        },
    )


def trial(channel: str, now: datetime) -> Message:
    """What a test sends."""
    subject = f"test of channel {channel}"
    return Message(
        subject=subject,
        text=f"{subject}: alerts will come here (sent {moment(now)})",
        payload={
            "type": "proxysite.test",
            "timestamp": reports.text(now),
            "data": {"alerts": [], "more": 0},
        },
    )


def _without_told_ends(items: Sequence[Item]) -> list[Item]:
    ended = {(item.kind, item.subject, item.begun_at) for item in items if item.ended_at}
    return [
        item
        for item in items
        if item.ended_at or (item.kind, item.subject, item.begun_at) not in ended
    ]


def _listed(title: str, items: Sequence[Item]) -> list[str]:
    if not items:
        return []
    lines = [f"{title}:", *(f"- {item.line}" for item in items[:LINES_MOST])]
    if (more := len(items) - LINES_MOST) > 0:
        lines.append(f"- and {more} more")
    return lines
