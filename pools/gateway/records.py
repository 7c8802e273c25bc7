"""What is kept of each exchange: counters, and a line in the access log where it is on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pools.core.counters import Counters, bucket
from pools.gateway.access_log import AccessLog, Entry
from pools.gateway.requests import Arrival, Request

if TYPE_CHECKING:
    from pools.gateway.forwarding import Forwarding


class Records:
    """Those of one process."""

    def __init__(self, counters: Counters, access_log: AccessLog | None) -> None:
        self.counters = counters
        self._log = access_log

    def exchange(self, done: Forwarding, total_s: float, why: str) -> None:
        """A request that a route took is over; `why`: in words, what went wrong, if any."""
        request, backend = done.request, done.backend
        kind = done.status // 100  # 4: also a client that left, 499
        received, sent = request.received_bytes, done.sent_bytes
        # A tunnel took as long as it took to open.
        tunnel_s = done.first_byte_s if done.status == 101 else None
        slot = bucket(total_s if tunnel_s is None else tunnel_s)
        self.counters.route(done.route.name).count(kind, received, sent, slot)
        if backend is not None:
            self.counters.backend(backend.key).count(kind, received, sent, slot)
        else:
            self.counters.of_no_backend(done.route.pool.name).count(kind, received, sent, slot)
        if self._log is not None:
            entry = _entry(request, done.status, sent)
            _say_arrival(entry, done.arrived)
            entry.at -= total_s
            entry.route = done.route.name
            entry.pool = done.route.pool.name
            entry.backend = backend.key if backend is not None else ""
            entry.attempts = done.attempts
            entry.connect_s = done.connect_s
            entry.first_byte_s = done.first_byte_s
            entry.total_s = total_s
            entry.why = why
            self._log.write(entry)

    def unrouted(
        self, request: Request, arrived: Arrival, *, status: int, sent_bytes: int
    ) -> None:
        """No route took a request; 503: none is known yet."""
        if status == 503:
            self.counters.unready += 1
        else:
            self.counters.unrouted += 1
        if self._log is not None:
            entry = _entry(request, status, sent_bytes)
            _say_arrival(entry, arrived)
            entry.why = "no route takes it"
            self._log.write(entry)

    def refused(
        self,
        peer: str,
        request: Request | None,
        *,
        status: int,
        request_id: bytes,
        sent_bytes: int,
        why: str,
    ) -> None:
        """A request was at fault; None: so much that nothing is known of it."""
        self.counters.refused += 1
        if self._log is None:
            return
        request = request or Request(b"", b"", "", [], keep_alive=False)
        entry = _entry(request, status, sent_bytes)
        entry.client, entry.request_id, entry.why = peer, request_id, why
        entry.host = request.fields.get(b"host", b"")
        self._log.write(entry)


def _entry(request: Request, status: int, sent_bytes: int) -> Entry:
    """What is known of any request; the rest is empty."""
    return Entry(
        at=time.time(),
        request_id=b"",
        client="",
        method=request.method,
        target=request.target,
        version=request.version.encode(),
        host=b"",
        status=status,
        received_bytes=request.received_bytes,
        sent_bytes=sent_bytes,
        referer=request.fields.get(b"referer", b""),
        user_agent=request.fields.get(b"user-agent", b""),
        route="",
        pool="",
        backend="",
        attempts=0,
        connect_s=None,
        first_byte_s=None,
        total_s=0.0,
        why="",
    )


def _say_arrival(entry: Entry, arrived: Arrival) -> None:
    entry.client = arrived.head.client
    entry.request_id = arrived.origin.request_id
    entry.host = arrived.host
