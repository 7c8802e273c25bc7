"""One request on its way to a backend, and the answer on its way back.

Rules:
- It makes attempts until an answer is taken, as the core's exchange decides; then it relays.
- Both bodies stream: who cannot be written to is not read for.
- Whose fault an end is decides what follows: the backend's failures count for its health,
  those of a client never do.
- It ends once, by `_end`, whatever happens.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from pools.core.compiled import CompiledBackend, CompiledRoute
from pools.core.document import Scheme
from pools.core.engine import Attempt
from pools.core.errors import NoBackendAvailable
from pools.core.headers import Pairs, host_for, upgrade_asked
from pools.core.keepalive import idle_s
from pools.core.retry import IDEMPOTENT, Failure, FailureKind
from pools.gateway import answers
from pools.gateway.dial import key_of
from pools.gateway.heads import CONTINUE, answer, early_hints, request_fields, switching
from pools.gateway.requests import Arrival, Request
from pools.gateway.tunnel import Tunnel
from pools.gateway.upload import Upload
from pools.gateway.upstream import Upstream
from pools.wire.errors import UpstreamError
from pools.wire.parser import Head

if TYPE_CHECKING:
    from pools.gateway.downstream import Downstream
    from pools.gateway.gateway import Gateway

MOST_BUFFERED = 65_536  # of a body, while the backend does not take it

# A client that kept a backend waiting for so long may have made it give up.
SLOW_CLIENT_S = 5.0

_STATUS = {FailureKind.CONNECT: 502, FailureKind.ERROR: 502, FailureKind.TIMEOUT: 504}


class Forwarding:
    """One exchange between a client and the backends of its route's pool."""

    __slots__ = (
        "arrived",
        "backend",
        "_began",
        "_chunked",
        "_client",
        "_client_s",
        "_client_since",
        "connect_s",
        "_dialling",
        "_endless",
        "_exchange",
        "_failure",
        "first_byte_s",
        "_full",
        "_gateway",
        "_keep",
        "_lines",
        "_over",
        "_queued_at",
        "request",
        "_sent",
        "sent_bytes",
        "_sent_host",
        "_stuck_bytes",
        "_touched",
        "_tunnel",
        "_upgrade",
        "_upload",
        "_upstream",
        "answered",
        "route",
        "status",
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
        self._began = self._touched = monotonic()
        self.status = 0  # of the answer, once it is known
        self.answered = False  # the head of an answer went to the client
        self.backend: CompiledBackend | None = None  # of the last attempt
        self._upstream: Upstream | None = None  # while it is in use
        self._dialling: asyncio.Task[None] | None = None
        self._tunnel: Tunnel | None = None
        self._queued_at = 0.0  # while it waits for a place; else 0
        self._failure: UpstreamError | None = None  # of the last attempt
        self._over = False
        self._keep = False  # the client's connection, once this is over
        self._chunked = False  # the answer's body, to the client
        self._endless = False  # but for the connection's end
        # Of the request.
        self._lines = b""
        self._upgrade: bytes | None = None
        self._sent_host = b""
        self._sent = False  # bytes of it, in this attempt
        self._full = False  # the backend does not take more now
        self._upload: Upload | None = None  # where it has a body
        # Of the client: how long it kept the backend waiting, and since when it does; and
        # what lay before it when it was last looked at.
        self._client_s = 0.0
        self._client_since = 0.0
        self._stuck_bytes = 0
        # For counters and the log.
        self.sent_bytes = 0
        self.connect_s: float | None = None
        self.first_byte_s: float | None = None

    def start(self) -> None:
        request, route = self.request, self.route
        limit = route.max_body_bytes
        if limit and (request.length or request.received_bytes) > limit:
            self.refuse(413, "the body is larger than the route takes")
            return
        headers = self.arrived.head.headers
        if request.upgrade and request.version == "1.1":
            self._upgrade = upgrade_asked(headers, route)
        if not request.complete or request.received_bytes:
            self._upload = Upload(request)
        self._lines = request_fields(
            request, self.arrived, route, self._gateway.rules, self._upgrade
        )
        queues = self._gateway.queues
        if queues and queues.length(route.pool.spec.name):
            self._wait_for_place(NoBackendAvailable(route.pool.spec.name, full=True))
        else:
            self._attempt()

    @property
    def attempts(self) -> int:
        return self._exchange.attempts

    # --- attempts ----------------------------------------------------------------------

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
            if backend.spec.scheme is Scheme.HTTP:
                key = backend.key
            else:
                key = key_of(backend, self.route.pool)  # type: ignore[assignment]
            upstream = self._gateway.idle.take(key)
            if upstream is not None and self.request.method not in IDEMPOTENT:
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
        if not request.complete:
            self._client_since = self._touched
        self._client.body_taken()

    def _wait_for_place(self, nobody: NoBackendAvailable) -> None:
        pool = self.route.pool.spec
        if nobody.full and self._gateway.queues.add(pool.name, self, most=pool.max_queue):
            self._queued_at = monotonic()
        else:
            self._give_up(nobody)

    def place_offered(self) -> bool:
        """Called by the queue; True: this waits no longer."""
        try:
            attempt = self._exchange.acquire()
        except NoBackendAvailable as nobody:
            if nobody.full:
                return False
            self._queued_at = 0.0
            self._give_up(nobody)
            return True
        self._queued_at = 0.0
        self._dispatch(attempt)
        return True

    def _give_up(self, nobody: NoBackendAvailable) -> None:
        """No backend is left to try: the last failure is the answer, or 503."""
        if self._failure is not None:
            self._answer_error(_STATUS[self._failure.kind], self._failure.reason)
        else:
            self._answer_error(503, str(nobody), retry_after_s=nobody.retry_after_s)

    # --- what the backend's connection says ----------------------------------------------

    def answer_came(self) -> None:
        upstream = self._upstream
        assert upstream is not None
        parser = upstream.parser
        self._touched = monotonic()
        out = b""
        if not self.answered:
            if parser.interim:
                self._relay_interim(parser.interim)
                parser.interim = []
            head = parser.head
            if head is None:
                return
            if self.first_byte_s is None:
                self.first_byte_s = self._touched - self._began
            if self._exchange.respond(head.status, replayable=self._replayable):
                self._discard(head)
                return
            if parser.upgraded:
                self._open_tunnel(upstream, head)
                return
            out = self._begin_answer(head)
            body = parser.take()
        else:
            body = parser.take()
        if body:
            self.sent_bytes += len(body)
            if self._chunked:
                out += b"%x\r\n%b\r\n" % (len(body), body)
            else:
                out = out + body if out else body
        if parser.complete:
            if self._chunked:
                out += b"0\r\n\r\n"
            if out:
                self._client.write(out)
            self._finish(upstream)
        elif out:
            self._client.write(out)

    def upstream_failed(self, error: UpstreamError) -> None:
        if self._over:
            return
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        again = self._fail(error, upstream)
        if self.answered:
            self._end(error.reason)
            self._client.cut(reset=self._endless)
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
        """Report a failed attempt; whether there is to be another.

        Not reported is what the client may have brought about: a backend's own time-outs
        end requests that come slowly and answers that are read slowly.
        """
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
            )
        )
        self._place_released()
        return again

    def _discard(self, head: Head) -> None:
        """The pool retries this status: away with the answer."""
        self._drop_upstream()
        self._failure = UpstreamError(FailureKind.ERROR, f"the backend answered {head.status}")
        self._gateway.counters.backend(self._backend_key).retries += 1
        self._place_released()
        self._attempt()

    def _relay_interim(self, heads: list[Head]) -> None:
        """Pass on what a client can make use of (RFC 9110 §15.2)."""
        if self.request.version == "1.0":
            return
        for head in heads:
            if head.status == 100 and self.request.expects_continue:
                self._client.write(CONTINUE)
            elif head.status == 103:
                links = self._gateway.rules.hints(head.headers, self.route)
                if links:
                    self._client.write(early_hints(links))

    # --- the answer ----------------------------------------------------------------------

    def _begin_answer(self, head: Head) -> bytes:
        """The head of the answer for the client; decides how its body is framed."""
        self.answered = True
        self.status = head.status
        keep = self.request.keep_alive and not self._gateway.draining
        data, self._chunked, self._endless, self._keep = answer(
            head, self._fields(head), self.request, keep=keep
        )
        return data

    def _fields(self, head: Head) -> Pairs:
        assert self.backend is not None
        origin = self.arrived.origin
        fields = self._gateway.rules.response(
            head.headers,
            origin=origin,
            route=self.route,
            backend=self.backend,
            sent_host=self._sent_host,
        )
        sticky = self._exchange.sticky_cookie(https=origin.scheme == "https")
        if sticky is not None:
            fields.append((b"Set-Cookie", sticky))
        return fields

    def _finish(self, upstream: Upstream) -> None:
        """The answer is all here."""
        self._upstream = None
        spec = self.route.pool.spec
        upload = self._upload
        if (
            upstream.parser.reusable
            and spec.keepalive_connections
            and (upload is None or upload.sent_all)
        ):
            upstream.release()
            if upstream.idle_s < 0:
                head = upstream.parser.head
                upstream.idle_s = idle_s(head.headers if head else (), spec.keepalive_s)
            upstream.idle_until = self._touched + upstream.idle_s
            if self._client.write_paused:
                upstream.transport.resume_reading()
            self._gateway.idle.put(upstream, most=spec.keepalive_connections)
        else:
            upstream.close()
        self._end("")
        self._client.finished(self._keep and self.request.complete)

    def refuse(self, status: int, why: str) -> None:
        """The request itself is at fault, as its body showed."""
        if self._over:
            return
        self._drop_upstream()
        if self.answered:
            self._end(why)
            self._client.cut(reset=self._endless)
        else:
            self._answer_error(status, why)

    def _answer_error(self, status: int, why: str, *, retry_after_s: int = 0) -> None:
        """Answer with an error of our own, and end."""
        self._drop_upstream()
        request = self.request
        self._keep = keep = (
            request.keep_alive and request.complete and not self._gateway.draining
        )
        data, self.sent_bytes = answers.error(
            status,
            method=request.method,
            version=request.version,
            accept=request.fields.get(b"accept", b""),
            request_id=self.arrived.origin.request_id,
            keep=keep,
            retry_after_s=retry_after_s,
        )
        self.status = status
        self.answered = True
        self._client.write(data)
        self._end(why)
        self._client.finished(keep)

    # --- what the client's connection says -------------------------------------------------

    def body_came(self) -> None:
        """More of the request's body is here, or its end."""
        limit = self.route.max_body_bytes
        if limit and self.request.received_bytes > limit:
            self.refuse(413, "the body is larger than the route takes")
            return
        if self._client_since:
            now = monotonic()
            self._client_s += now - self._client_since
            self._client_since = 0.0
        self._send_more()

    def client_left(self) -> None:
        """Nobody waits for an answer any more; no backend is to blame."""
        if self._over:
            return
        self._drop_upstream()
        self.status = 499
        self._end("the client left")

    def client_full(self) -> None:
        """The client reads more slowly than the answer comes."""
        self._client_since = monotonic()
        self._stuck_bytes = 0
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def client_free(self) -> None:
        """It reads again."""
        now = monotonic()
        if self._client_since:
            self._client_s += now - self._client_since
            self._client_since = 0.0
        self._touched = now
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    def _send_more(self) -> None:
        upstream, upload = self._upstream, self._upload
        if upstream is None or upload is None or self._full or upload.sent_all:
            return
        data = upload.more()
        if data:
            upstream.write(data)
        self._touched = monotonic()
        if not self.request.complete:
            self._client_since = self._touched
        self._client.body_taken()

    # --- time ------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Called by the sweep: end what took too long."""
        if self._over:
            return
        if self._tunnel is not None:
            self._tunnel.check(now)
            return
        deadline = self._exchange.deadline
        if deadline is not None and now >= deadline:
            self._out_of_time(now)
        elif self._queued_at:
            if now - self._queued_at >= self.route.pool.spec.queue_timeout_s:
                self._gateway.queues.remove(self.route.pool.spec.name, self)
                self._queued_at = 0.0
                self._answer_error(
                    503, "no backend had a place for it in time", retry_after_s=1
                )
        elif self._client.write_paused:
            self._check_deaf(now)
        elif self._dialling is None:
            self._check_silence(now)

    def _check_deaf(self, now: float) -> None:
        """The client takes nothing (nginx send_timeout)."""
        left = self._client.unsent_bytes
        if left != self._stuck_bytes:
            self._stuck_bytes = left
            self._client_since = now
        elif now - self._client_since >= self._gateway.conf.client_send_timeout_s:
            self._drop_upstream()
            self._end("the client took nothing for too long")
            self._client.cut(reset=self._endless)

    def _check_silence(self, now: float) -> None:
        """Somebody sends nothing: the client of its body, or the backend."""
        silent_s = now - self._touched
        if not self.request.complete and not self._full and not self.answered:
            if silent_s >= self._gateway.conf.client_body_timeout_s:
                self.refuse(408, "the body did not come in time")
        elif silent_s >= self.route.response_timeout_s:
            words = "stopped sending" if self.answered else "did not answer in time"
            upstream = self._upstream
            self.upstream_failed(UpstreamError(FailureKind.TIMEOUT, f"the backend {words}"))
            if upstream is not None:
                upstream.close()

    def _out_of_time(self, now: float) -> None:
        """The exchange took too long. It is the backend's failure if at least half of the
        time went by in one wait for it."""
        why = "the exchange took too long"
        if self._queued_at:
            self._gateway.queues.remove(self.route.pool.spec.name, self)
            self._queued_at = 0.0
        awaits_body = not self.request.complete and not self._full
        if awaits_body and not self.answered:
            self.refuse(408, why)
            return
        waited_for_it = not self._client.write_paused and self._upstream is not None
        if waited_for_it and now - self._touched >= self.route.exchange_timeout_s / 2:
            self._fail(UpstreamError(FailureKind.TIMEOUT, why), self._upstream)
        if self.answered:
            self._drop_upstream()
            self._end(why)
            self._client.cut(reset=self._endless)
        else:
            self._answer_error(504, why)

    # --- tunnels ---------------------------------------------------------------------------

    def _open_tunnel(self, upstream: Upstream, head: Head) -> None:
        self.answered = True
        self.status = 101
        self._client.write(switching(head, self._fields(head), self._upgrade or b""))
        to_client = upstream.parser.take()
        self._upstream = None
        upstream.release()
        self._gateway.tunnel_opened(self, self._client)
        early, transport = self._client.leave_to_tunnel()
        self._tunnel = Tunnel(
            transport,
            upstream.transport,
            idle_s=self.route.tunnel_timeout_s,
            clock=monotonic,
            ended=self._tunnel_ended,
        )
        self._tunnel.start(to_backend=early, to_client=to_client)

    def _tunnel_ended(self, why: str) -> None:
        tunnel = self._tunnel
        if tunnel is not None:
            self.sent_bytes = tunnel.sent_bytes
        self._gateway.tunnel_closed(self, self._client)
        self._end(why)

    def cut(self, why: str) -> None:
        """End it at once, as its grace is over."""
        if self._tunnel is not None:
            self._tunnel.cut(why)
        elif not self._over:
            self._drop_upstream()
            self._end(why)
            self._client.cut(reset=self._endless)

    # --- ends ------------------------------------------------------------------------------

    @property
    def _backend_key(self) -> str:
        return self.backend.key if self.backend is not None else ""

    @property
    def _replayable(self) -> bool:
        return self._upload is None or self._upload.replayable

    def _drop_upstream(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()

    def _place_released(self) -> None:
        queues = self._gateway.queues
        if queues:
            queues.released(self.route.pool.spec.name)

    def _end(self, why: str) -> None:
        """The exchange is over: free what it holds, count it, log it."""
        self._over = True
        gateway = self._gateway
        if self._queued_at:
            gateway.queues.remove(self.route.pool.spec.name, self)
        self._exchange.close()
        self._place_released()
        gateway.records.exchange(self, monotonic() - self._began, why)
