"""What the proxy carries, by pool, backend and route: now, and over time. For who shows it.

    now = figures.latest()
    now.total.requests_per_s, now.pools["web"].p99_ms, now.backends["web/10.0.0.1:80"]
    figures.series("24h", backend="web/10.0.0.1:80").p99_ms

Rules:
- Figures are of all processes together, gateways and web processes, each as it last wrote
  them (pools.control.counting): some seconds old.
- A pool's are those of its backends, and of what no backend was tried for. The total has all
  pools, and what no route took.
- An error is an answer of 5xx, or none. A client that left is none.
- Who carried nothing is missing in `latest`, and 0 a second in a series; None is what nobody
  knows, as where no process ran.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from pools.control import buckets, clock
from pools.control.buckets import FINE_S, HOUR_S, MINUTES_S, WHOLE, Packed, Stored
from pools.core.sums import BACKEND, POOL, ROUTE, Sums, named
from pools.models import TrafficBucket, TrafficNow

FRESH_S = 2.5 * FINE_S  # a process that wrote nothing for so long is gone, or stuck

# By name: the width of a point, and how many there are.
WINDOWS: Mapping[str, tuple[int, int]] = {
    "15m": (FINE_S, 90),
    "24h": (MINUTES_S, 144),
    "7d": (HOUR_S, 168),
}
# The newest point is one that all have written: when it is over, or for the first time.
_LAG_S: Mapping[int, int] = {FINE_S: FINE_S + 2, MINUTES_S: 75, HOUR_S: 75}
_MOMENTS_S = FINE_S / 2  # looks of several processes are so far apart at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What somebody carried in the last minute. None: there were no requests.

    `in_flight` are requests and tunnels at its end, `ejections` how many there were in it.
    Of a route, `retries_per_s`, `in_flight` and `ejections` are not known, and 0.
    """

    requests_per_s: float = 0.0
    error_share: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    retries_per_s: float = 0.0
    in_flight: int = 0
    ejections: int = 0
    sent_bytes_per_s: float = 0.0
    received_bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that is carried now. `connections`: of clients to gateways; of a web process, the
    requests that it forwards."""

    total: Rates = field(default_factory=Rates)
    pools: Mapping[str, Rates] = field(default_factory=dict)
    backends: Mapping[str, Rates] = field(default_factory=dict)
    routes: Mapping[str, Rates] = field(default_factory=dict)
    connections: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Lists of one length. `times`, in seconds since 1970, are where points begin;
    `connections` are the total's alone."""

    width_s: int
    times: list[int]
    requests_per_s: list[float | None]
    error_share: list[float | None]
    p50_ms: list[float | None]
    p99_ms: list[float | None]
    connections: list[float | None]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def latest() -> Figures:
    """What the last minute brought; one query, and the clock's. Mappings work out what they
    are asked for, so that it costs little to ask for some of many."""
    now = clock.now().timestamp()
    fresh = TrafficNow.objects.filter(seen_at__gt=now - FRESH_S, seen_at__lt=now + FRESH_S)
    told = [_Told.of(packed) for packed in fresh.values_list("packed", flat=True)]
    in_flight: Counter[str] = Counter()
    for one in told:
        in_flight.update(one.in_flight)
    flying: Counter[str] = Counter()
    for key, count in in_flight.items():
        flying[key.partition("/")[0]] += count
    return Figures(
        total=_rates([(one.took_s, one.total) for one in told], flying.total()),
        pools=_ByName(POOL, told, flying),
        backends=_ByName(BACKEND, told, in_flight),
        routes=_ByName(ROUTE, told, {}),
        connections=sum(one.connections for one in told),
    )


def series(window: str, *, pool: str = "", backend: str = "", route: str = "") -> Series:
    """One's past, the total's where none is named; one query, and the clock's.

    Raises ValueError for a window that is none of WINDOWS, and for more than one name.
    """
    if window not in WINDOWS:
        raise ValueError(f"there is no window {window!r}: use {', '.join(WINDOWS)}")
    names = [
        named(kind, name)
        for kind, name in ((POOL, pool), (BACKEND, backend), (ROUTE, route))
        if name
    ]
    if len(names) > 1:
        raise ValueError("name a pool, a backend or a route, and no more than one")
    width_s, length = WINDOWS[window]
    newest = int((clock.now().timestamp() - _LAG_S[width_s]) // width_s * width_s)
    times = [newest - width_s * back for back in reversed(range(length))]
    points = _read(width_s, times, names[0] if names else "")
    quantiles = [point.sums.quantiles_ms() for point in points]
    return Series(
        width_s=width_s,
        times=times,
        requests_per_s=[point.requests_per_s for point in points],
        error_share=[point.sums.error_share for point in points],
        p50_ms=[one["p50_ms"] for one in quantiles],
        p99_ms=[one["p99_ms"] for one in quantiles],
        connections=[None if names else point.open for point in points],
    )


# --- now ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """The last minute of one process, or as much of it as it was there for. `lines` have names
    of one kind each, and are read when somebody asks for that kind."""

    took_s: float
    connections: int
    in_flight: Mapping[str, int]
    total: Sums
    lines: list[bytes]

    @classmethod
    def of(cls, packed: Stored) -> _Told:
        first, *lines = buckets.unread(packed)
        whole = json.loads(first)
        return cls(
            took_s=max(whole["took_s"], FINE_S),
            connections=whole["connections"],
            in_flight=whole["in_flight"],
            total=Sums.unpacked(whole["total"]),
            lines=lines,
        )

    def entries(self, kind: str) -> dict[str, Packed]:
        begin = f'{{"{named(kind, "")}'.encode()
        found: dict[str, Packed] = {}
        for line in self.lines:
            if line.startswith(begin):
                found |= json.loads(line)
        return found


class _ByName(Mapping[str, Rates]):
    """The rates of one kind of names: those that carried something, or have it in flight."""

    def __init__(self, kind: str, told: list[_Told], in_flight: Mapping[str, int]) -> None:
        self._kind = kind
        self._told = told
        self._in_flight = in_flight
        self._known: dict[str, Rates] = {}

    def __getitem__(self, name: str) -> Rates:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._work_out(name)
        return found

    def __iter__(self) -> Iterator[str]:
        prefix = named(self._kind, "")
        names = dict.fromkeys(self._in_flight)
        for _, entries in self._entries:
            names |= dict.fromkeys(name.removeprefix(prefix) for name in entries)
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @cached_property
    def _entries(self) -> list[tuple[float, dict[str, Packed]]]:
        """Of each process: in how long, and what."""
        return [(one.took_s, one.entries(self._kind)) for one in self._told]

    def _work_out(self, name: str) -> Rates:
        full = named(self._kind, name)
        parts = [
            (took_s, Sums.unpacked(entries[full]))
            for took_s, entries in self._entries
            if full in entries
        ]
        in_flight = self._in_flight.get(name, 0)
        if not parts and not in_flight:
            raise KeyError(name)
        return _rates(parts, in_flight)


def _rates(parts: Iterable[tuple[float, Sums]], in_flight: int) -> Rates:
    """Of several processes, each with its time."""
    total = Sums()
    requests = retries = sent = received = 0.0
    for took_s, sums in parts:
        total.add(sums)
        requests += sums.requests / took_s
        retries += sums.retries / took_s
        sent += sums.sent_bytes / took_s
        received += sums.received_bytes / took_s
    quantiles = total.quantiles_ms()
    return Rates(
        requests_per_s=requests,
        error_share=total.error_share,
        p50_ms=quantiles["p50_ms"],
        p99_ms=quantiles["p99_ms"],
        retries_per_s=retries,
        in_flight=in_flight,
        ejections=total.ejections,
        sent_bytes_per_s=sent,
        received_bytes_per_s=received,
    )


# --- over time ---------------------------------------------------------------------------


class _Point:
    """What is known of a span of time, of all processes."""

    def __init__(self) -> None:
        self.sums = Sums()
        self._known = False
        self._since, self._until = float("inf"), float("-inf")
        self._there: list[tuple[float, float]] = []  # connections, and for how many seconds

    def add_whole(self, whole: Mapping[str, Any]) -> None:
        self._known = True
        self._since = min(self._since, whole["since"])
        self._until = max(self._until, whole["until"])
        self._there.append((whole["connections"], whole["took_s"]))

    @property
    def _took_s(self) -> float:
        return max(self._until - self._since, 1.0)

    @property
    def requests_per_s(self) -> float | None:
        return self.sums.requests / self._took_s if self._known else None

    @property
    def open(self) -> float | None:
        """Connections, on average. Processes that followed each other make no sum; who was
        there for all but moments counts in full."""
        if not self._known:
            return None
        whole_s = self._took_s
        return sum(
            connections * (min(took_s / whole_s, 1) if whole_s - took_s > _MOMENTS_S else 1)
            for connections, took_s in self._there
        )


def _read(width_s: int, times: list[int], name: str) -> list[_Point]:
    part = buckets.part_of(name) if name else WHOLE
    rows = TrafficBucket.objects.filter(
        width_s=width_s,
        part__in={WHOLE, part},
        begins_at__gte=times[0],
        begins_at__lte=times[-1],
    )
    points: dict[int, _Point] = defaultdict(_Point)
    for begins_at, of, packed in rows.values_list("begins_at", "part", "packed"):
        if of != WHOLE:
            found = buckets.find(packed, name)
            if found is not None:
                points[begins_at].sums.add(found)
            continue
        (whole,) = buckets.unpack(packed)
        points[begins_at].add_whole(whole)
        if not name:
            points[begins_at].sums.add(Sums.unpacked(whole["total"]))
    return [points[at] for at in times]
