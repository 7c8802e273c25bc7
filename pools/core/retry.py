"""Whether a failed attempt is followed by another one.

Rules:
- What failed must be among what the pool retries, and attempts must be left.
- The request must be replayable: its body not read yet, or kept.
- Once a byte of it went out only idempotent methods are sent again (RFC 9110 §9.2.2),
  unless the pool says otherwise: the backend may have acted on what it got.
- A kept-alive connection that breaks before any byte of the answer was most likely
  closed by the backend just then; the request gets one free try on a fresh connection,
  which counts neither as an attempt nor as a failure.
- Retries stay below a share of the requests in flight, so that a pool in trouble does
  not get its load multiplied (Envoy retry budget). Who was not connected to got no load:
  going elsewhere then is outside the budget, or a killed backend would cost requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pools.core import document
from pools.core.document import RetryOn

# RFC 9110 §9.2.2.
IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})

# Envoy's defaults.
BUDGET_SHARE = 0.2
BUDGET_FLOOR = 3


class FailureKind(StrEnum):
    """How an attempt failed; the values are those of RetryOn."""

    CONNECT = "connect"
    ERROR = "error"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that ended without a whole answer.

    `bytes_sent`: any byte of the request was written. `replayable`: its body is unread, or
    can be sent again. `reused`: on a kept-alive connection, and no byte of an answer came.
    `ours`: this process lacked something, such as files; the backend is not to blame.
    `words` say what happened, for people.
    """

    kind: FailureKind
    bytes_sent: bool
    replayable: bool
    reused: bool = False
    ours: bool = False
    words: str = "no whole answer"


def decide(
    reason: RetryOn,
    *,
    spec: document.Retry,
    method: bytes,
    attempts: int,
    bytes_sent: bool,
    replayable: bool,
) -> bool:
    """Whether the pool's rules allow another attempt; `attempts` is how many were made."""
    return (
        reason in spec.on
        and attempts < spec.attempts
        and may_resend(spec=spec, method=method, bytes_sent=bytes_sent, replayable=replayable)
    )


def may_resend(
    *, spec: document.Retry, method: bytes, bytes_sent: bool, replayable: bool
) -> bool:
    """Whether sending the request again can do no harm, or the pool takes it on itself."""
    return replayable and (not bytes_sent or method in IDEMPOTENT or spec.non_idempotent)


class RetryBudget:
    """How many exchanges of a pool may be retrying at once. Its user holds a lock."""

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active = 0

    def take(self, in_flight: int) -> bool:
        """Whether one more may retry, of so many in flight; if so it must `give_back`."""
        if self.active >= max(BUDGET_FLOOR, int(BUDGET_SHARE * in_flight)):
            return False
        self.active += 1
        return True

    def give_back(self) -> None:
        self.active -= 1
