"""What is counted of exchanges, by all threads of a process together."""

from __future__ import annotations

import os
import threading

from pools.control import counting
from pools.core.compiled import CompiledBackend
from pools.core.counters import Counters, bucket
from pools.core.engine import Engine, Exchange

CLIENT_LEFT = 499


class Records:
    """Those of one process. Thread-safe."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._under_way = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """A request is to be forwarded."""
        with self._lock:
            self._under_way += 1

    def end(
        self,
        exchange: Exchange,
        backend: CompiledBackend | None,
        *,
        status: int,
        received_bytes: int,
        sent_bytes: int,
        took_s: float,
    ) -> None:
        """It is over. `backend`: the last one tried; status 0: there was no answer."""
        route, kind, slot = exchange.route, status // 100, bucket(took_s)
        counters = self.counters
        with self._lock:
            self._under_way -= 1
            counted = [counters.route(route.name)]
            if backend is None:
                counted.append(counters.of_no_backend(route.pool.name))
            else:
                counted.append(counters.backend(backend.key))
            for traffic in counted:
                traffic.count(kind, received_bytes, sent_bytes, slot)
            for key in exchange.ejected:
                counters.backend(key).ejections += 1

    def failed(self, backend: CompiledBackend, *, again: bool) -> None:
        """An attempt failed; `again`: another one follows."""
        with self._lock:
            traffic = self.counters.backend(backend.key)
            traffic.failures += 1
            traffic.retries += again

    def unrouted(self, status: int) -> None:
        """No route took a request; 503: none is known yet."""
        with self._lock:
            if status == 503:
                self.counters.unready += 1
            else:
                self.counters.unrouted += 1

    def under_way(self) -> int:
        return self._under_way

    def tidy(self, engine: Engine) -> None:
        """Drop what the engine has no more."""
        document = engine.snapshot.document
        backends = {status.key for status in engine.status()}
        with self._lock:
            self.counters.forget(
                {route.name for route in document.routes},
                backends,
                {pool.name for pool in document.pools},
            )


_current: Records | None = None
_beginning = threading.Lock()


def current() -> Records:
    """This process's, from its first request on."""
    return _current or _begin()


def _begin() -> Records:
    global _current
    with _beginning:
        if _current is None:
            made = Records()
            counting.count_from(counting.Source(made.counters, made.under_way, tidy=made.tidy))
            _current = made
        return _current


def _forget() -> None:
    """In a forked child: what the parent counted is the parent's, and its locks may be held."""
    global _current, _beginning
    _current, _beginning = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
