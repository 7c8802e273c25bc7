"""One request on its way to a backend, and the answer on its way back."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Hashable
from contextlib import closing, suppress

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from pools.core.compiled import CompiledBackend
from pools.core.engine import Attempt, Exchange
from pools.core.errors import NoBackendAvailable
from pools.core.headers import Pairs, host_for
from pools.core.retry import Failure, FailureKind
from pools.wire.errors import ClientGone, OutOfTime, Refused, UpstreamError
from pools.wire.parser import Head
from pools.wsgi import records, responses, servers
from pools.wsgi.arrival import Arrival, header_rules
from pools.wsgi.body import Body
from pools.wsgi.connection import Connection, Watch, connect
from pools.wsgi.idle import IdleConnections
from pools.wsgi.records import CLIENT_LEFT

logger = logging.getLogger("pools.wsgi")

idle = IdleConnections()

# Answers that were collected instead of closed. The collector may run while its thread holds
# a pool's lock, which is what ends a lease: that waits for the next request.
_abandoned: deque[Forwarding] = deque()

# A client that kept a backend waiting for so long may have made it give up.
SLOW_CLIENT_S = 5.0

_STATUS = {FailureKind.CONNECT: 502, FailureKind.ERROR: 502, FailureKind.TIMEOUT: 504}


class Forwarding:
    """Makes the attempts of one exchange, and then relays the body.

    It holds a connection and the exchange's lease from `answer` until the body ends, or
    until `close`.
    """

    def __init__(self, request: HttpRequest, arrived: Arrival, exchange: Exchange) -> None:
        self._request = request
        self._arrived = arrived
        self._exchange = exchange
        self._route = exchange.route
        self._watch = Watch(
            idle_s=self._route.response_timeout_s,
            exchange_s=self._route.exchange_timeout_s,
            deadline=exchange.deadline,
            client=servers.client_fd(arrived.environ),
        )
        self._body = Body(arrived.environ, most_bytes=self._route.max_body_bytes)
        self._fields: Pairs = []  # of the request
        self._backend: CompiledBackend | None = None  # of the last attempt
        self._connection: Connection | None = None  # while it is in use
        self._sent_host = b""
        self._sent_all = False  # the request, to its end
        self._client_s = 0.0  # how long the client kept the backend waiting
        self._given_at = 0.0  # when it was given bytes of the answer
        self._began = time.monotonic()
        self._status = 0  # of the answer; 0: there is none yet
        self._sent_bytes = 0  # of its body
        self._over = False
        records.current().begin()

    def answer(self) -> HttpResponseBase:
        """The backend's answer, or an error of ours."""
        while _abandoned:
            with suppress(IndexError):  # another thread was faster
                _abandoned.popleft().close()
        try:
            return self._answer()
        except Refused as refusal:
            self._end(refusal.status)
            self._log(logging.INFO, refusal.status, refusal.reason)
            return self._error(refusal.status)
        except ClientGone:
            self._end(CLIENT_LEFT)
            self._log(logging.INFO, CLIENT_LEFT, "the client left")
            return self._error(CLIENT_LEFT)
        except NoBackendAvailable as failure:
            self._end(503)
            self._log(logging.WARNING, 503, str(failure))
            return self._error(503, retry_after_s=failure.retry_after_s)
        except UpstreamError as failure:
            status = _STATUS[failure.kind]
            self._end(status)
            self._log(logging.WARNING, status, failure.reason)
            return self._error(status)
        except OutOfTime as late:
            self._end(504)
            self._log(logging.WARNING, 504, str(late))
            return self._error(504)
        except BaseException:
            self._end(500)
            raise

    def abandon(self) -> None:
        """Closes the connection, and the exchange with the next request."""
        self._drop_connection()
        _abandoned.append(self)

    def close(self) -> None:
        """Ends the exchange; a connection that is still in use is closed: nobody waits for
        what it brings."""
        self._end(CLIENT_LEFT if self._connection is not None else self._status)

    def read(self) -> bytes:
        """The next bytes of the body as they come, b"" at its end.

        Raises CutShort where the backend cut it short, the time is over or the client left.
        """
        connection = self._connection
        if connection is None:
            return b""
        self._client_s += time.monotonic() - self._given_at
        try:
            data = connection.read_body()
        except (UpstreamError, OutOfTime) as failure:
            if isinstance(failure, UpstreamError):
                self._fail(failure)
            self._end(self._status)
            self._log(logging.WARNING, 0, str(failure))
            servers.cut(self._arrived.environ)
            raise responses.CutShort(str(failure)) from None
        except ClientGone:
            self._end(CLIENT_LEFT)
            self._log(logging.INFO, CLIENT_LEFT, "the client left during the answer")
            raise responses.CutShort("the client left") from None
        self._sent_bytes += len(data)
        if connection.complete:
            self._finish(connection)
        self._given_at = time.monotonic()
        return data

    def _answer(self) -> HttpResponseBase:
        if self._arrived.head.method == b"TRACE":  # it would show fields that we add
            raise Refused(405, "TRACE is not served")
        self._body.measure()
        self._fields = header_rules().request(
            self._arrived.head.headers,
            origin=self._arrived.origin,
            route=self._route,
            version=self._arrived.version,
        )
        head, backend, connection = self._attempts()
        fields = header_rules().response(
            head.headers,
            origin=self._arrived.origin,
            route=self._route,
            backend=backend,
            sent_host=self._sent_host,
        )
        sticky = self._exchange.sticky_cookie(https=self._arrived.origin.scheme == "https")
        if sticky is not None:
            fields.append((b"Set-Cookie", sticky))
        first = connection.take_body()
        self._status, self._sent_bytes = head.status, len(first)
        if connection.complete:  # most are: the backend is free before the client has it all
            self._finish(connection)
        self._given_at = time.monotonic()
        return responses.ProxyResponse(
            status=head.status,
            reason=head.reason,
            fields=fields,
            first=first,
            answer=self if self._connection else None,
        )

    def _attempts(self) -> tuple[Head, CompiledBackend, Connection]:
        """The head of the answer that is taken, who gave it, and on which connection."""
        failure: UpstreamError | None = None
        while True:
            try:
                attempt = self._exchange.acquire()
            except NoBackendAvailable:
                if failure is not None:
                    raise failure from None
                raise
            self._backend = attempt.backend
            try:
                connection = self._connected(attempt)
                head = self._asked(connection, attempt.backend)
            except UpstreamError as error:
                again = self._fail(error)
                self._drop_connection()
                if not again:
                    raise
                self._log(logging.INFO, 0, f"{error.reason}; trying again")
                failure = error
                continue
            if not self._exchange.respond(head.status, replayable=self._body.replayable):
                return head, attempt.backend, connection
            self._drop_connection()
            records.current().failed(attempt.backend, again=True)
            reason = f"the backend answered {head.status}"
            self._log(logging.INFO, 0, f"{reason}; trying again")
            failure = UpstreamError(FailureKind.ERROR, reason)

    def _connected(self, attempt: Attempt) -> Connection:
        """A connection to the attempt's backend, kept alive or new."""
        backend = attempt.backend
        reused = None if attempt.fresh else idle.take(self._idle_key(backend))
        connection = reused or connect(
            backend,
            self._route.pool,
            timeout_s=self._route.connect_timeout_s,
            watch=self._watch,
        )
        self._connection = connection
        connection.begin(self._arrived.head.method, self._watch, reused=reused is not None)
        return connection

    def _asked(self, connection: Connection, backend: CompiledBackend) -> Head:
        """Sends the request; the head of the answer."""
        self._sent_host = host_for(self._route, backend, self._arrived.host)
        self._sent_all = connection.send(self._head_bytes()) and self._upload(connection)
        return connection.read_head(self._relay_hints)

    def _head_bytes(self) -> bytes:
        arrived = self._arrived
        path = self._route.rewrite_path(arrived.head.path)
        length = self._body.length
        lines = [
            arrived.head.method + b" " + path + arrived.query + b" HTTP/1.1",
            b"host: " + self._sent_host,
            *[name + b": " + value for name, value in self._fields],
        ]
        if length is None:
            lines.append(b"transfer-encoding: chunked")
        elif length or arrived.environ.get("CONTENT_LENGTH"):
            lines.append(b"content-length: %d" % length)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _upload(self, connection: Connection) -> bool:
        """Sends the body as it comes; False where the backend answered before its end."""
        chunked = self._body.length is None
        asked_at = time.monotonic()
        with closing(self._body.pieces(connection)) as pieces:
            for piece in pieces:
                self._client_s += time.monotonic() - asked_at
                if not connection.send(
                    b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
                ):
                    return False
                asked_at = time.monotonic()
        self._client_s += time.monotonic() - asked_at
        # Only what came to its end is ended: a body cut short must not look whole.
        if not self._body.complete:
            return False
        return connection.send(b"0\r\n\r\n") if chunked else True

    def _relay_hints(self, head: Head) -> None:
        """Passes 103 on where the server can; WSGI has no other 1xx.

        Its Link fields alone: that is what hints are, and no other field may go past the
        rules of the answer that follows.
        """
        send = self._arrived.environ.get("wsgi.early_hints")
        links = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in head.headers
            if name.lower() == b"link" and b"link" not in self._route.response_remove
        ]
        if head.status == 103 and send is not None and links:
            try:
                send(links)
            except OSError as error:
                raise ClientGone from error

    def _fail(self, failure: UpstreamError) -> bool:
        """Reports a failed attempt; whether there is to be another.

        Not reported is what the client may have brought about: a backend's own time-outs
        end requests that come slowly and answers that are read slowly. The body is read by
        then, or the answer has begun, so that there is no other attempt anyway.
        """
        connection = self._connection
        again = self._client_s < SLOW_CLIENT_S and self._exchange.fail(
            Failure(
                kind=failure.kind,
                bytes_sent=connection is not None and connection.sent,
                replayable=self._body.replayable,
                reused=connection is not None and connection.reused and not connection.answered,
                words=failure.reason,
            )
        )
        if self._backend is not None:
            records.current().failed(self._backend, again=again)
        return again

    def _finish(self, connection: Connection) -> None:
        """The answer is all here: the backend and the connection are free."""
        self._connection = None
        if connection.reusable and self._sent_all and self._backend is not None:
            pool = self._route.pool.spec
            idle.put(
                self._idle_key(self._backend),
                connection,
                most=pool.keepalive_connections,
                idle_s=connection.idle_s(pool.keepalive_s),
            )
        else:
            connection.close()
        self._end(self._status)

    def _end(self, status: int) -> None:
        """It is over with this status: free what it holds, and count it once."""
        self._drop_connection()
        self._exchange.close()
        if not self._over:
            self._over = True
            records.current().end(
                self._exchange,
                self._backend,
                status=status,
                received_bytes=self._body.received_bytes,
                sent_bytes=self._sent_bytes,
                took_s=time.monotonic() - self._began,
            )

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _idle_key(self, backend: CompiledBackend) -> Hashable:
        """What must be equal for a connection to serve: with TLS also how it was checked."""
        return (backend.key, self._route.pool.spec.tls) if backend.tls else backend.key

    def _error(self, status: int, *, retry_after_s: int = 0) -> HttpResponseBase:
        return responses.error(
            self._request,
            status,
            request_id=self._arrived.origin.request_id,
            retry_after_s=retry_after_s,
        )

    def _log(self, level: int, status: int, reason: str) -> None:
        logger.log(
            level,
            "%s [status=%s route=%s backend=%s attempts=%d request_id=%s]",
            reason,
            status or "-",
            self._route.name,
            self._backend.key if self._backend else "-",
            self._exchange.attempts,
            self._arrived.origin.request_id.decode("latin-1"),
        )
