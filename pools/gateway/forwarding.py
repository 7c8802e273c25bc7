"""One request on its way to a backend, and the answer on its way back.

Rules:
- Both bodies stream: who cannot be written to is not read for.
- What was sent to a client is never taken back: an answer that fails once it has begun is
  cut short, in a way that the client can tell.
- A client that leaves ends its request at once, and no backend is to blame.
- It ends once, by `_end`, whatever happens.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from pools.core.compiled import CompiledRoute
from pools.core.headers import Pairs, upgrade_asked
from pools.core.retry import FailureKind
from pools.gateway import answers
from pools.gateway.attempts import Attempts
from pools.gateway.heads import CONTINUE, answer, early_hints, request_fields, switching
from pools.gateway.progress import untaken_bytes
from pools.gateway.requests import Arrival, Request
from pools.gateway.tunnel import Tunnel
from pools.gateway.upload import Upload
from pools.gateway.upstream import Upstream
from pools.wire.errors import UpstreamError
from pools.wire.parser import Head

if TYPE_CHECKING:
    from pools.gateway.downstream import Downstream
    from pools.gateway.gateway import Gateway

MOST_BUFFERED = 65_536  # of a request's body, while no backend takes it


class Forwarding(Attempts):
    """One exchange between a client and the backends of its route's pool.

    `status`: of the answer; 0: there is none yet. `sent_bytes`: of its body, to the client.
    `first_byte_s`: from the request's arrival to the first head of an answer.
    """

    __slots__ = (
        "_began",
        "_chunked",
        "_continued",
        "_deaf_since",
        "_endless",
        "_keep",
        "_stuck_bytes",
        "_tunnel",
        "first_byte_s",
        "sent_bytes",
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
        super().__init__(gateway, client, request, arrived, route)
        self._began = self._touched = monotonic()
        self.status = 0
        self._keep = False  # the client's connection, once this is over
        self._chunked = False  # the answer's body, to the client
        self._endless = False  # but for the connection's end
        self._tunnel: Tunnel | None = None
        self._continued = False  # the client was told to send its body
        self._deaf_since = 0.0  # when the client was last seen to take anything
        self._stuck_bytes = 0  # what lay before whom we wait for, when last looked at
        self.sent_bytes = 0
        self.first_byte_s: float | None = None

    def start(self) -> None:
        request, route = self.request, self.route
        limit = route.max_body_bytes
        if limit and (request.length or request.received_bytes) > limit:
            self.refuse(413, "the body is larger than the route takes")
            return
        if request.upgrade and request.version == "1.1":
            self._upgrade = upgrade_asked(request.headers, route)
        if not request.complete or request.received_bytes or request.length is None:
            self._upload = Upload(request)
        self._lines = request_fields(
            request, self.arrived, route, self._gateway.rules, self._upgrade
        )
        self._begin()

    # --- the answer ----------------------------------------------------------------------

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
                self._send_more()
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
            return
        if out:
            self._client.write(out)
        if self._upload is not None:
            self._send_more()

    def _relay_interim(self, heads: list[Head]) -> None:
        """Pass on what a client can make use of (RFC 9110 §15.2)."""
        if self.request.version == "1.0":
            return
        for head in heads:
            if head.status == 100 and self.request.expects_continue and not self._continued:
                self._continued = True
                self._client.write(CONTINUE)
            elif head.status == 103:
                links = self._gateway.rules.hints(head.headers, self.route)
                if links:
                    self._client.write(early_hints(links))

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
        """The answer is all here, since a moment ago."""
        self._release(upstream)
        self._end("", self._touched)
        self._client.finished(self._keep and self.request.complete, self._touched)

    def refuse(self, status: int, why: str) -> None:
        """The request itself is at fault, as its body showed."""
        if self.answered:
            self._cut_short(why)
        elif not self._over:
            self.request.keep_alive = False
            self._answer_error(status, why)

    def _answer_error(self, status: int, why: str, *, retry_after_s: int = 0) -> None:
        """Answer with an error of our own, and end."""
        self._drop_upstream()
        request = self.request
        keep = request.keep_alive and request.complete and not self._gateway.draining
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

    def _cut_short(self, why: str) -> None:
        if not self._over:
            self._drop_upstream()
            self._end(why)
            self._client.cut(reset=self._endless)

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
        self._client_since = self._deaf_since = monotonic()
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
                self._leave_queue()
                self._give_up("no backend had a place for it in time", 1)
        elif self._client.write_paused:
            self._check_deaf(now)
        elif self._dialling is None:
            self._check_silence(now)

    def _check_deaf(self, now: float) -> None:
        """The client takes nothing (nginx send_timeout)."""
        left = self._client.untaken_bytes
        if left != self._stuck_bytes:
            self._stuck_bytes = left
            self._deaf_since = now
        elif now - self._deaf_since >= self._gateway.conf.client_send_timeout_s:
            self._cut_short("the client took nothing for too long")

    def _check_silence(self, now: float) -> None:
        """Somebody sends or takes nothing: the client of its body, or the backend."""
        upstream = self._upstream
        if self._full and upstream is not None:
            left = untaken_bytes(upstream.transport)
            if left != self._stuck_bytes:
                self._stuck_bytes = left
                self._touched = now
        silent_s = now - self._touched
        if self._awaits_body:
            if silent_s >= self._gateway.conf.client_body_timeout_s:
                self.refuse(408, "the body did not come in time")
        elif silent_s >= self.route.response_timeout_s:
            words = "stopped sending" if self.answered else "did not answer in time"
            self.upstream_failed(UpstreamError(FailureKind.TIMEOUT, f"the backend {words}"))

    @property
    def _awaits_body(self) -> bool:
        """Whether it is the client's turn to send: not where it waits for a 100 first."""
        request = self.request
        if request.complete or self._full:
            return False
        return self._continued or bool(request.received_bytes) or not request.expects_continue

    def _out_of_time(self, now: float) -> None:
        """The exchange took too long. It is the backend's failure if at least half of the
        time went by in one wait for it."""
        why = "the exchange took too long"
        self._leave_queue()
        if self._awaits_body and not self.answered:
            self.refuse(408, why)
            return
        waited_for_it = not self._client.write_paused and self._upstream is not None
        if waited_for_it and now - self._touched >= self.route.exchange_timeout_s / 2:
            self._fail(UpstreamError(FailureKind.TIMEOUT, why), self._upstream)
        if self.answered:
            self._cut_short(why)
        else:
            self._answer_error(504, why)

    # --- tunnels ---------------------------------------------------------------------------

    def _open_tunnel(self, upstream: Upstream, head: Head) -> None:
        if self._upload is not None and not self._upload.sent_all:
            # What follows of the body would be taken for the other protocol's.
            why = "the backend switched protocols before it had the request"
            self.upstream_failed(UpstreamError(FailureKind.ERROR, why))
            return
        self.answered = True
        self.status = 101
        self._client.write(switching(head, self._fields(head), self._upgrade or b""))
        to_client = upstream.parser.take()
        self._upstream = None
        upstream.release()
        self._exchange.becomes_tunnel()
        self._gateway.tunnel_opened(self, self._client)
        early, transport = self._client.leave_to_tunnel()
        self._tunnel = Tunnel(
            transport,
            upstream.transport,
            idle_s=self.route.tunnel_timeout_s,
            clock=monotonic,
            ended=self._tunnel_ended,
        )
        if self._client.write_paused:  # the transport says it once, and said it before
            upstream.transport.pause_reading()
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
        else:
            self._cut_short(why)

    def _end(self, why: str, now: float = 0.0) -> None:
        """It is over, `now` or at this very moment: free what it holds, and keep what it
        was."""
        self._over = True
        self._leave_queue()
        self._exchange.close()
        for key in self._exchange.ejected:
            self._gateway.counters.backend(key).ejections += 1
        self._place_released()
        self._gateway.records.exchange(self, (now or monotonic()) - self._began, why)
