"""The backends' side of an exchange: attempts, until an answer is taken or none is left.

Rules:
- The core's exchange decides who is tried, and whether a failure is followed by another try.
- Failures are the backend's, unless the client kept it waiting for long: a backend's own
  time-outs end requests that come slowly and answers that are read slowly.
- Where the pool is full, a request waits in its queue.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Hashable
from time import monotonic
from typing import TYPE_CHECKING

from pools.core.compiled import CompiledBackend, CompiledRoute
from pools.core.engine import Attempt
from pools.core.errors import NoBackendAvailable
from pools.core.headers import host_for
from pools.core.keepalive import idle_s
from pools.core.retry import IDEMPOTENT, Failure, FailureKind
from pools.gateway.dial import key_of
from pools.gateway.requests import Arrival, Request
from pools.gateway.upload import Upload
from pools.gateway.upstream import Upstream
from pools.wire.errors import UpstreamError
from pools.wire.parser import Head

if TYPE_CHECKING:
    from pools.gateway.downstream import Downstream
    from pools.gateway.gateway import Gateway

# A client that kept a backend waiting for so long may have made it give up.
SLOW_CLIENT_S = 5.0
# By then the loop has read what had arrived.
HEARD_S = 0.001

_STATUS = {FailureKind.CONNECT: 502, FailureKind.ERROR: 502, FailureKind.TIMEOUT: 504}


class Attempts(ABC):
    """`answered`: the head of an answer went to the client. `backend`: of the last attempt.
    `connect_s`: how long its connection took to make; None: it was there."""

    __slots__ = (
        "_client",
        "_client_s",
        "_client_since",
        "_dialling",
        "_exchange",
        "_failure",
        "_full",
        "_gateway",
        "_lines",
        "_over",
        "_queued_at",
        "_sent",
        "_sent_host",
        "_touched",
        "_upgrade",
        "_upload",
        "_upstream",
        "answered",
        "arrived",
        "backend",
        "connect_s",
        "request",
        "route",
    )

    def __init__(
        self,
        gateway: Gateway,
        client: Downstream,
        request: Request,
        arrived: Arrival,
        route: CompiledRoute,
    ) -> None:
        self._gateway = gateway
        self._client = client
        self.request = request
        self.arrived = arrived
        self.route = route
        self._exchange = gateway.engine.begin(route, arrived.head)
        self.answered = False
        self._over = False
        self.backend: CompiledBackend | None = None
        self._upstream: Upstream | None = None  # while it is in use
        self._dialling: asyncio.Task[None] | None = None
        self._queued_at = 0.0  # while it waits for a place; else 0
        self._failure: UpstreamError | None = None  # of the last attempt
        self.connect_s: float | None = None
        # The request, as it is sent.
        self._lines = b""
        self._upgrade: bytes | None = None
        self._sent_host = b""
        self._sent = False  # bytes of it, in this attempt
        self._full = False  # the backend does not take more now
        self._upload: Upload | None = None  # where it has a body
        self._touched = 0.0  # when something last went on
        # How long the client kept the backend waiting, and since when it does; 0: it does not.
        self._client_s = 0.0
        self._client_since = 0.0

    @property
    def attempts(self) -> int:
        return self._exchange.attempts

    # --- what comes of it ------------------------------------------------------------------

    @abstractmethod
    def answer_came(self) -> None:
        """The upstream's parser has more of the answer."""

    @abstractmethod
    def _answer_error(self, status: int, why: str, *, retry_after_s: int = 0) -> None:
        """There is no answer but an error of ours."""

    @abstractmethod
    def _cut_short(self, why: str) -> None:
        """The answer that has begun does not come to its end."""

    # --- attempts ----------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the first attempt; behind those who wait for the same pool, if any do."""
        queues, pool = self._gateway.queues, self.route.pool.name
        if queues and queues.length(pool):
            self._wait_for_place(NoBackendAvailable(pool, full=True))
        else:
            self._attempt()

    def _attempt(self) -> None:
        try:
            attempt = self._exchange.acquire()
        except NoBackendAvailable as nobody:
            self._wait_for_place(nobody)
        else:
            self._dispatch(attempt)

    def _dispatch(self, attempt: Attempt) -> None:
        backend = self.backend = attempt.backend
        self._sent = self._full = False
        if not attempt.fresh:
            key: Hashable = backend.key
            if backend.tls:
                key = key_of(backend, self.route.pool)
            upstream = self._gateway.idle.take(key)
            if self.request.method not in IDEMPOTENT:
                # It could not be sent again: make sure of the connection.
                while upstream is not None and not upstream.is_quiet():
                    upstream.close()
                    upstream = self._gateway.idle.take(key)
            if upstream is not None:
                self._send(upstream, True)
                return
        self._dialling = self._gateway.loop.create_task(self._dial(backend))

    async def _dial(self, backend: CompiledBackend) -> None:
        began = monotonic()
        timeout_s = self.route.connect_timeout_s
        if self._exchange.deadline is not None:
            timeout_s = min(timeout_s, max(self._exchange.deadline - began, 0.001))
        counters = self._gateway.counters.backend(backend.key)
        try:
            upstream = await self._gateway.dialler.connect(
                backend, self.route.pool, timeout_s=timeout_s
            )
        except UpstreamError as error:
            self._dialling = None
            counters.connect_failures += 1
            if not self._over:
                self.upstream_failed(error)
            return
        self._dialling = None
        counters.connects += 1
        self.connect_s = monotonic() - began
        if self._over:
            upstream.close()
        else:
            self._send(upstream, False)

    def _send(self, upstream: Upstream, reused: bool) -> None:
        """Send the head, and what is there of the body."""
        request, arrived, backend = self.request, self.arrived, self.backend
        assert backend is not None
        self._upstream = upstream
        upstream.begin(self, request.method, self._upgrade, reused)
        self._sent_host = host = host_for(self.route, backend, arrived.host)
        head = b"%b %b%b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (
            request.method,
            self.route.rewrite_path(arrived.head.path),
            arrived.query,
            host,
            self._lines,
        )
        self._touched = monotonic()
        self._sent = True
        upload = self._upload
        if upload is None:
            upstream.write(head)
            return
        upstream.write(head + upload.begin())
        if not request.complete and not request.expects_continue:
            self._client_since = self._touched
        self._client.body_taken()

    def _wait_for_place(self, nobody: NoBackendAvailable) -> None:
        pool = self.route.pool.spec
        if nobody.full and self._gateway.queues.add(pool.name, self, most=pool.max_queue):
            self._queued_at = monotonic()
        else:
            self._give_up(str(nobody), nobody.retry_after_s)

    def place_offered(self) -> bool:
        """Called by the queue; True: this waits no longer."""
        try:
            attempt = self._exchange.acquire()
        except NoBackendAvailable as nobody:
            if nobody.full:
                return False
            self._queued_at = 0.0
            self._give_up(str(nobody), nobody.retry_after_s)
            return True
        self._queued_at = 0.0
        self._dispatch(attempt)
        return True

    def _give_up(self, why: str, retry_after_s: int) -> None:
        """No backend is left to try: the last failure is the answer, or 503."""
        if self._failure is not None:
            self._answer_error(_STATUS[self._failure.kind], self._failure.reason)
        else:
            self._answer_error(503, why, retry_after_s=retry_after_s)

    # --- what the backend's connection says ----------------------------------------------

    def upstream_failed(self, error: UpstreamError) -> None:
        if self._over:
            return
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        again = self._fail(error, upstream)
        if self.answered:
            self._cut_short(error.reason)
            return
        self._failure = error
        if again:
            self._gateway.counters.backend(self._backend_key).retries += 1
            self._attempt()
        else:
            self._answer_error(_STATUS[error.kind], error.reason)

    def upstream_full(self) -> None:
        self._full = True

    def upstream_free(self) -> None:
        self._full = False
        self._touched = monotonic()
        self._send_more()

    def _fail(self, error: UpstreamError, upstream: Upstream | None) -> bool:
        """Report a failed attempt; whether there is to be another."""
        self._gateway.troubles.add(self._backend_key, error.reason)
        self._gateway.counters.backend(self._backend_key).failures += 1
        waited_s = self._client_s
        if self._client_since:
            waited_s += monotonic() - self._client_since
        if waited_s >= SLOW_CLIENT_S:
            return False
        again = self._exchange.fail(
            Failure(
                kind=error.kind,
                bytes_sent=self._sent,
                replayable=self._replayable,
                reused=upstream is not None and upstream.reused and not upstream.answered,
                ours=error.ours,
                words=error.reason,
            )
        )
        self._place_released()
        return again

    def _discard(self, head: Head) -> None:
        """The pool retries this status: away with the answer."""
        self._drop_upstream()
        self._failure = UpstreamError(FailureKind.ERROR, f"the backend answered {head.status}")
        counters = self._gateway.counters.backend(self._backend_key)
        counters.failures += 1
        counters.retries += 1
        self._place_released()
        self._attempt()

    def _send_more(self, heard: Upstream | None = None) -> None:
        """Pass on what came of the request's body. `heard`: who need not be heard first."""
        upstream, upload = self._upstream, self._upload
        if upstream is None or upload is None or self._full or upload.sent_all:
            return
        if upstream is not heard and upstream.says_something():
            # An early answer, maybe with a reset behind it, which writing would meet: the
            # answer would be lost. It is read first, and then this is called again.
            if upstream.is_tls:
                self._gateway.loop.call_later(HEARD_S, self._send_more, upstream)
            return
        data = upload.more()
        if data:
            upstream.write(data)
        self._touched = monotonic()
        if not self.request.complete:
            self._client_since = self._touched
        self._client.body_taken()

    def _release(self, upstream: Upstream) -> None:
        """The answer is all here: the connection is free."""
        self._upstream = None
        pool, upload = self.route.pool, self._upload
        if (
            not upstream.parser.reusable
            or not pool.keepalive_connections
            or (upload is not None and not upload.sent_all)
        ):
            upstream.close()
            return
        upstream.release()
        if upstream.idle_s < 0:
            head = upstream.parser.head
            upstream.idle_s = idle_s(head.headers if head else (), pool.spec.keepalive_s)
        upstream.parser.head = None  # it may be large
        upstream.idle_until = self._touched + upstream.idle_s
        if self._client.write_paused:
            upstream.transport.resume_reading()
        self._gateway.idle.put(upstream, most=pool.keepalive_connections)

    def _leave_queue(self) -> None:
        if self._queued_at:
            self._queued_at = 0.0
            self._gateway.queues.remove(self.route.pool.name, self)

    def _drop_upstream(self) -> None:
        """End whatever is under way with a backend, without blame."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()

    def _place_released(self) -> None:
        queues = self._gateway.queues
        if queues:
            queues.released(self.route.pool.name)

    @property
    def _backend_key(self) -> str:
        return self.backend.key if self.backend is not None else ""

    @property
    def _replayable(self) -> bool:
        return self._upload is None or self._upload.replayable
