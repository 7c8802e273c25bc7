"""The course of one probe: what it is at, how long each step took, what it met."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pools.health.asking import words
from pools.health.asking.link import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`at_ms` is when it ended, from the probe's begin; `detail` is words for people."""

    name: str
    took_ms: float
    at_ms: float
    detail: str


class Phase(Enum):
    """What a probe is at: its name as a step, and how a time-out in it is told."""

    RESOLVE = "resolve", "resolving the name"
    CONNECT = "connect", "connecting"
    HANDSHAKE = "tls handshake", "in the TLS handshake"
    SEND = "send", "sending"
    FIRST_BYTE = "first byte", "reading the answer"
    STATUS = "status", "reading the answer"
    BODY = "body", "reading the answer"
    ANSWER = "answer", "reading the answer"
    ANOTHER = "answer", "waiting for the expected answer: another came"


class Course:
    """What is known of a probe under way. `link`: its connection, while that is open."""

    __slots__ = (
        "_begun",
        "_open",
        "_since",
        "_steps",
        "certificate_until",
        "code",
        "link",
        "phase",
    )

    def __init__(self, steps: list[Step] | None) -> None:
        self._steps = steps
        self._begun = self._since = time.monotonic()
        self._open = False
        self.phase: Phase | None = None
        self.link: Link | None = None
        self.code: int | None = None
        self.certificate_until: datetime | None = None

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self._open = True
        if self._steps is not None:
            self._since = time.monotonic()

    def turn(self, phase: Phase) -> None:
        """As `enter`, within the same step."""
        self.phase = phase

    def done(self, detail: str = "") -> None:
        """The phase is over, if it was not already."""
        if self._steps is not None and self._open and self.phase is not None:
            now = time.monotonic()
            self._steps.append(
                Step(
                    name=self.phase.value[0],
                    took_ms=(now - self._since) * 1000,
                    at_ms=(now - self._begun) * 1000,
                    detail=words.printable(detail),
                )
            )
        self._open = False

    @property
    def doing(self) -> str:
        """What it is at, for a time-out."""
        return self.phase.value[1] if self.phase else "before it began"

    def took_s(self) -> float:
        """The time since the probe's begin."""
        return time.monotonic() - self._begun

    def close(self) -> None:
        """End the connection at once, if it is open."""
        if self.link is not None:
            self.link.close(reset=not self.link.ended)
            self.link = None
