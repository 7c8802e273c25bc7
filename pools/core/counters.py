"""What a process counts, by route and by backend.

Rules:
- Counters are plain integers of one process: to count is to add. One thread counts, or
  several take turns by a lock of theirs. Other threads may ask for them without it, and get
  some that are a request apart.
- They only grow, from the start of the process; `forget` alone drops any, so that names that
  come and go do not fill the memory.
- Times go into buckets, four an octave from 61 µs to 2.3 h: no quantile is wrong by more
  than the width of a bucket, 19 %.
"""

from __future__ import annotations

from bisect import bisect, bisect_left
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate, compress, zip_longest
from typing import Any, Final, TypeVar

# The upper ends of the buckets, in seconds; the last bucket has none.
BOUNDS_S: Final = tuple(2.0 ** (step / 4) for step in range(-14 * 4, 13 * 4 + 1))
QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}

_TRAFFIC = ("requests", "received_bytes", "sent_bytes")
_BACKEND = ("connects", "connect_failures", "failures", "retries", "ejections")
_OWN = ("connections", "refused", "unrouted", "unready", "tunnels")
KINDS = ("routes", "backends", "unserved")


def bucket(seconds: float) -> int:
    """Which of `Traffic.latency` counts what took this long."""
    return bisect(BOUNDS_S, seconds)


class Traffic:
    """What a route or a backend carried. `statuses` by their first digit; 0: no answer."""

    __slots__ = (
        "latency",
        "received_bytes",
        "requests",
        "requests_before",
        "sent_bytes",
        "statuses",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.statuses = [0] * 6
        self.received_bytes = 0  # of requests' bodies
        self.sent_bytes = 0  # of answers' bodies
        self.latency = [0] * (len(BOUNDS_S) + 1)
        self.requests_before = 0  # when `Counters.forget` last looked

    def count(self, status_class: int, received: int, sent: int, slot: int) -> None:
        """Count an exchange: bytes of both bodies, and the `bucket` of its time."""
        self.requests += 1
        self.statuses[status_class] += 1
        self.received_bytes += received
        self.sent_bytes += sent
        self.latency[slot] += 1

    def plain(self) -> dict[str, Any]:
        told: dict[str, Any] = {name: getattr(self, name) for name in self._names()}
        told["statuses"] = list(self.statuses)
        # Without the zeros at the end.
        last = max(compress(range(len(self.latency)), self.latency), default=-1)
        told["latency"] = self.latency[: last + 1]
        return told

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return _TRAFFIC


class BackendTraffic(Traffic):
    """What a backend carried, and how its connections went."""

    __slots__ = _BACKEND

    def __init__(self) -> None:
        super().__init__()
        self.connects = 0
        self.connect_failures = 0
        self.failures = 0
        self.retries = 0
        self.ejections = 0

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return _TRAFFIC + _BACKEND


T = TypeVar("T", bound=Traffic)


class Counters:
    """All that one process counts.

    `connections`: accepted. `refused`: answered by us before a route was looked for, as with
    400. `unrouted`: no route took them, 404; `unready`: routes were not known yet, 503.
    `tunnels`: opened. `unserved`: by pool, what a route took and no backend was tried for.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Traffic] = {}
        self.backends: dict[str, BackendTraffic] = {}
        self.unserved: dict[str, Traffic] = {}
        self.connections = 0
        self.refused = 0
        self.unrouted = 0
        self.unready = 0
        self.tunnels = 0

    def route(self, name: str) -> Traffic:
        """The route's, made where it is missing. Do not keep it beyond the exchange."""
        try:
            return self.routes[name]
        except KeyError:
            return self.routes.setdefault(name, Traffic())

    def backend(self, key: str) -> BackendTraffic:
        """The backend's, made where it is missing. Do not keep it beyond the exchange."""
        try:
            return self.backends[key]
        except KeyError:
            return self.backends.setdefault(key, BackendTraffic())

    def of_no_backend(self, pool: str) -> Traffic:
        """The pool's in `unserved`, made where it is missing."""
        return self.unserved.setdefault(pool, Traffic())

    def plain(self) -> dict[str, Any]:
        """For JSON, and for `merge`; `quantiles_ms` has the quantiles of a latency."""
        told: dict[str, Any] = {name: getattr(self, name) for name in _OWN}
        for kind in KINDS:
            # A copy, as another thread may be asking.
            all_of_it = tuple(getattr(self, kind).items())
            told[kind] = {name: traffic.plain() for name, traffic in all_of_it}
        return told

    def forget(
        self,
        keep_routes: Collection[str],
        keep_backends: Collection[str],
        keep_pools: Collection[str],
    ) -> None:
        """Drop what is not to be kept and had no request since the last call."""
        _forget(self.routes, keep_routes)
        _forget(self.backends, keep_backends)
        _forget(self.unserved, keep_pools)


def merge(plains: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums of what several workers' `Counters.plain` gave, in the same form.

    Raises KeyError, TypeError or ValueError for what is of another form.
    """
    total = Counters().plain()
    for plain in plains:
        for name in _OWN:
            total[name] += plain[name]
        for kind in KINDS:
            sums = total[kind]
            for name, traffic in plain[kind].items():
                sums[name] = _sum(sums[name], traffic) if name in sums else traffic
    return total


def quantiles_ms(latency: Iterable[int], *, first: int = 0) -> dict[str, float | None]:
    """The quantiles of buckets like Traffic.latency, in milliseconds; None: nothing counted.
    `first`: the bucket of the first count given.

    Each lies within its bucket as if the bucket's times were spread evenly.
    """
    counts = list(latency)
    sums = list(accumulate(counts))
    told: dict[str, float | None] = dict.fromkeys(QUANTILES)
    if sums and sums[-1]:
        for name, quantile in QUANTILES.items():
            rank = quantile * sums[-1]
            index = bisect_left(sums, rank)
            slot = first + index
            start = BOUNDS_S[slot - 1] if slot else 0.0
            end = BOUNDS_S[min(slot, len(BOUNDS_S) - 1)]
            share = 1 - (sums[index] - rank) / counts[index]
            told[name] = round((start + (end - start) * share) * 1000, 3)
    return told


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [a + b for a, b in zip_longest(value, other[name], fillvalue=0)]
        if isinstance(value, list)
        else value + other[name]
        for name, value in one.items()
    }


def _forget(traffic: dict[str, T], keep: Collection[str]) -> None:
    idle = []
    for name, one in traffic.items():
        if one.requests == one.requests_before and name not in keep:
            idle.append(name)
        one.requests_before = one.requests
    for name in idle:
        del traffic[name]
