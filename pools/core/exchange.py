"""One exchange: its attempts, the lease it holds, and what becomes of failures.

Rules:
- An exchange holds at most one lease, and ends it on any way out of its `with`.
- Each attempt goes to a backend that was not tried; only the free try after a kept-alive
  connection died goes to the same one.
- Failures to connect, broken connections, time-outs and the answers 502, 503 and 504 are
  failures of the backend, but for what this process lacked itself; any other answer begins
  its count anew, but only once the exchange ends without a failure: a body may still break
  off.
- Once an answer is taken (`respond` said False) nothing is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Final, Self

from pools.core import cookies, retry
from pools.core.compiled import CompiledBackend, CompiledRoute
from pools.core.document import CookieSecure, RetryOn
from pools.core.errors import NoBackendAvailable
from pools.core.request import RequestHead
from pools.core.retry import Failure, FailureKind
from pools.core.runtime import BackendState, PoolState

_BAD_STATUS: Final = {502: RetryOn.HTTP_502, 503: RetryOn.HTTP_503, 504: RetryOn.HTTP_504}


class Attempt:
    """A backend to send the request to. `fresh`: not on a kept-alive connection. Plain as
    request.py says."""

    __slots__ = ("backend", "fresh")

    def __init__(self, backend: CompiledBackend, fresh: bool) -> None:
        self.backend = backend
        self.fresh = fresh


class Exchange:
    """One request and its answer, over as many attempts as it takes.

    `attempts` is how many were made so far; `deadline` is on the engine's clock, None: no
    bound. `ejected`: the keys of the backends whose failure here was one too many.
    """

    __slots__ = (
        "_attempt",
        "_clock",
        "_closed",
        "_free",
        "_lease",
        "_pool",
        "_random",
        "_responded",
        "_retrying",
        "_tried",
        "_tunnel",
        "_well",
        "attempts",
        "deadline",
        "ejected",
        "head",
        "route",
    )

    def __init__(
        self,
        pool: PoolState,
        route: CompiledRoute,
        head: RequestHead,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self._clock = clock
        self._random = random
        self._pool = pool
        self.route = route
        self.head = head
        self.attempts = 0
        self.ejected: tuple[str, ...] = ()
        bound = route.exchange_timeout_s
        self.deadline = clock() + bound if bound else None
        self._lease: BackendState | None = None
        self._attempt: Attempt | None = None  # the last one
        self._tried: tuple[str, ...] = ()
        self._free = False  # a free try is due, on the lease still held
        self._retrying = False  # holds a part of the retry budget
        self._responded = False
        self._well = False  # the lease's backend gave an answer that is no failure
        self._tunnel = False  # the lease is counted among its backend's tunnels
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def acquire(self) -> Attempt:
        """Lease a backend that was not tried yet; the lease held before ends.

        Raises NoBackendAvailable.
        """
        if self._closed:
            raise RuntimeError("the exchange is closed")
        if self._free and self._attempt:
            self._free = False
            self._attempt = Attempt(self._attempt.backend, True)
            return self._attempt
        pool = self._pool
        now = self._clock()
        with pool.lock:
            if self._lease is not None:
                self._release()
            state = pool.select(self.head, self._tried, now=now, random=self._random)
            if state is None:
                raise NoBackendAvailable(pool.pool.name, full=pool.full(self._tried))
            state.in_flight += 1
            pool.in_flight += 1
            self._lease = state
        self.attempts += 1
        self._tried += (state.key,)
        self._attempt = attempt = Attempt(state.backend, False)
        return attempt

    def fail(self, failure: Failure) -> bool:
        """The attempt failed: report it. True: acquire again, for another attempt."""
        if self._lease is None:
            return False
        self._free = False
        if not self._stale(failure):
            reason = RetryOn(failure.kind.value)
            again = self._judge(
                reason,
                failure.words,
                bytes_sent=failure.bytes_sent,
                replayable=failure.replayable,
                ours=failure.ours,
            )
            if not again:
                self._end_lease()
            return again
        self._free = not self._late() and retry.may_resend(
            spec=self.route.pool.spec.retry,
            method=self.head.method,
            bytes_sent=failure.bytes_sent,
            replayable=failure.replayable,
        )
        if not self._free:
            self._end_lease()
        return self._free

    def respond(self, status: int, *, replayable: bool) -> bool:
        """The head of an answer came, and nothing went downstream yet: report it.

        True: the pool retries this status; discard the answer and acquire again.
        """
        if self._lease is None:
            return False
        reason = _BAD_STATUS.get(status)
        if reason is None:
            self._well = True
        elif self._judge(reason, f"status {status}", bytes_sent=True, replayable=replayable):
            return True
        self._responded = True
        if self._retrying:
            # The storm is over for this one, however long the answer streams.
            with self._pool.lock:
                self._end_retry()
        return False

    def becomes_tunnel(self) -> None:
        """The answer switched protocols: until its end this is a tunnel, and no request."""
        if self._lease is not None and not self._tunnel:
            with self._pool.lock:
                self._lease.tunnels += 1
            self._tunnel = True

    def close(self) -> None:
        """End the exchange and all it holds. May be called again.

        A lease that is held still ends without blame, as when the client left.
        """
        self._closed = True
        if self._lease is not None or self._retrying:
            with self._pool.lock:
                if self._well and self._lease is not None:
                    self._lease.passive.failures = 0
                self._release()
                if self._retrying:
                    self._end_retry()

    def sticky_cookie(self, *, https: bool) -> bytes | None:
        """The Set-Cookie value that keeps the client on its backend.

        None: the pool is not sticky, or the client presented this backend's cookie.
        `https`: whether the client came by it.
        """
        name = self.route.pool.cookie
        if not name or self._attempt is None:
            return None
        sticky = self.route.pool.spec.sticky
        token = self._attempt.backend.token
        if cookies.find(self.head.headers, name) == token:
            return None
        parts = [name + b"=" + token, b"Path=/", b"SameSite=" + sticky.same_site.encode()]
        if sticky.ttl_s:
            parts.append(b"Max-Age=%d" % sticky.ttl_s)
        if sticky.secure is CookieSecure.ALWAYS or (
            sticky.secure is CookieSecure.AUTO and https
        ):
            parts.append(b"Secure")
        if sticky.http_only:
            parts.append(b"HttpOnly")
        return b"; ".join(parts)

    def _stale(self, failure: Failure) -> bool:
        """Whether a kept-alive connection died unused: the backend is not to blame."""
        return (
            failure.reused
            and failure.kind is FailureKind.ERROR
            and not self._responded
            and self._attempt is not None
            and not self._attempt.fresh
        )

    def _late(self) -> bool:
        return self.deadline is not None and self._clock() >= self.deadline

    def _judge(
        self,
        reason: RetryOn,
        words: str,
        *,
        bytes_sent: bool,
        replayable: bool,
        ours: bool = False,
    ) -> bool:
        """Report the failure to passive health unless it is `ours`, and decide on another
        attempt.

        If there is to be one, the lease has ended and the retry is counted.
        """
        pool = self._pool
        with pool.lock:
            now = self._clock()
            assert self._lease is not None
            if not ours and pool.failed(self._lease, words, now=now):
                self.ejected += (self._lease.key,)
            again = (
                not self._responded
                and not self._late()
                and retry.decide(
                    reason,
                    spec=self.route.pool.spec.retry,
                    method=self.head.method,
                    attempts=self.attempts,
                    bytes_sent=bytes_sent,
                    replayable=replayable,
                )
                and pool.another(self._tried, now=now)
                and (reason is RetryOn.CONNECT or self._in_budget(pool))
            )
            if again:
                self._release()
        return again

    def _in_budget(self, pool: PoolState) -> bool:
        """Whether this one may retry, as one of the pool's few that do."""
        self._retrying = self._retrying or pool.budget.take(pool.in_flight)
        return self._retrying

    def _end_lease(self) -> None:
        with self._pool.lock:
            self._release()

    def _release(self) -> None:
        """End the lease, if there is one. Its caller holds the pool's lock."""
        if self._lease is not None:
            if self._tunnel:
                self._lease.tunnels -= 1
                self._tunnel = False
            self._lease.in_flight -= 1
            self._pool.in_flight -= 1
            self._lease = None

    def _end_retry(self) -> None:
        """Give back the part of the retry budget. Its caller holds the pool's lock."""
        self._pool.budget.give_back()
        self._retrying = False
