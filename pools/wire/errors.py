"""How an exchange ends early. Library exceptions become one of these where they occur."""

from __future__ import annotations

from pools.core.errors import PoolsError
from pools.core.retry import FailureKind


class UpstreamError(PoolsError):
    """The backend's side failed; `kind` is what retries and the answer's status go by.
    `ours`: the backend is not to blame (core.retry.Failure)."""

    def __init__(self, kind: FailureKind, reason: str, *, ours: bool = False) -> None:
        self.kind = kind
        self.reason = reason
        self.ours = ours
        super().__init__(reason)


class Malformed(UpstreamError):
    """What came is no answer: it `problem`, such as "is not HTTP"."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(FailureKind.ERROR, f"the backend's answer is malformed: {problem}")


class OutOfTime(PoolsError):
    """The exchange's time is over, and no backend is to blame: it had too little of it."""

    def __init__(self) -> None:
        super().__init__("the exchange took too long")


class ClientGone(PoolsError):
    """The client left: nobody waits for an answer any more, and no backend is to blame."""


class Refused(PoolsError):
    """The request itself is at fault; it is answered with `status`."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)
