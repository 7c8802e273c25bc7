"""What was carried in a span of time: the difference between two looks at counters.

Rules:
- `Tally.look` gives what was counted since the look before; looks are one thread's.
- A name's counters may be dropped and begin anew meanwhile (`Counters.forget`): they are
  known by identity, and nothing counts twice or less than nothing.
- A pool's sums are those of its backends and of what no backend was tried for; the total is
  the sum of the pools and of what no route took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, compress
from operator import sub
from typing import Final, Self, TypeVar

from pools.core.counters import BackendTraffic, Counters, Traffic, quantiles_ms

T = TypeVar("T")

PIECE: Final = 25  # names between two pauses

# What stands before the names in `Look.named`, such as "backend:web/10.0.0.1:80".
POOL, BACKEND, ROUTE = "pool", "backend", "route"
_ERRORS = (0, 5)  # classes of status: no answer, and 5xx


class Sums:
    """Counts of one name, which add up. `latency`: by `counters.bucket`, those above 0."""

    __slots__ = (
        "ejections",
        "errors",
        "latency",
        "received_bytes",
        "requests",
        "retries",
        "sent_bytes",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0  # answered with 5xx, or not at all; a client that left is none
        self.retries = 0
        self.ejections = 0
        self.sent_bytes = 0
        self.received_bytes = 0
        self.latency: dict[int, int] = {}

    def add(self, other: Sums) -> None:
        self.requests += other.requests
        self.errors += other.errors
        self.retries += other.retries
        self.ejections += other.ejections
        self.sent_bytes += other.sent_bytes
        self.received_bytes += other.received_bytes
        latency = self.latency
        if not latency:
            self.latency = other.latency.copy()
            return
        for slot, count in other.latency.items():
            latency[slot] = latency.get(slot, 0) + count

    def take(self, other: Sums) -> None:
        """Take away again what was added."""
        self.requests -= other.requests
        self.errors -= other.errors
        self.retries -= other.retries
        self.ejections -= other.ejections
        self.sent_bytes -= other.sent_bytes
        self.received_bytes -= other.received_bytes
        latency = self.latency
        for slot, count in other.latency.items():
            left = latency[slot] - count
            if left:
                latency[slot] = left
            else:
                del latency[slot]

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.requests or self.retries or self.ejections or self.latency)

    def packed(self) -> list[int]:
        """Short, for JSON: the counts, and then pairs of a latency's slot and its count."""
        return [
            *(self.requests, self.errors, self.retries, self.ejections),
            *(self.sent_bytes, self.received_bytes),
            *chain.from_iterable(sorted(self.latency.items())),
        ]

    @classmethod
    def unpacked(cls, packed: list[int]) -> Self:
        """Raises ValueError for what is of another form."""
        made = cls()
        made.requests, made.errors, made.retries, made.ejections = packed[:4]
        made.sent_bytes, made.received_bytes = packed[4:6]
        made.latency = dict(zip(packed[6::2], packed[7::2], strict=True))
        return made

    @property
    def error_share(self) -> float | None:
        """0 to 1; None: there were no requests."""
        return self.errors / self.requests if self.requests else None

    def quantiles_ms(self) -> dict[str, float | None]:
        if not self.latency:
            return quantiles_ms(())
        first = min(self.latency)
        counts = [self.latency.get(slot, 0) for slot in range(first, max(self.latency) + 1)]
        return quantiles_ms(counts, first=first)


class Look:
    """What was carried since the look before; `named` has only who carried something."""

    __slots__ = ("named", "total")

    def __init__(self) -> None:
        self.total = Sums()
        self.named: dict[str, Sums] = {}

    def add(self, name: str, sums: Sums) -> None:
        own = self.named.get(name)
        if own is None:
            own = self.named[name] = Sums()
        own.add(sums)

    def take(self, name: str, sums: Sums) -> None:
        """Take away again what was added."""
        own = self.named[name]
        own.take(sums)
        if not own:
            del self.named[name]


def named(kind: str, name: str) -> str:
    """A name in `Look.named`."""
    return f"{kind}:{name}"


def kind_of(full: str) -> str:
    """The kind that a name in `Look.named` is of."""
    return full.partition(":")[0]


class Tally:
    """Looks at the counters of one process, again and again.

    `known` is what was told of them already, as by the process that this one was forked from.
    """

    def __init__(self, counters: Counters, *, known: bool = False) -> None:
        self._counters = counters
        self._seen: dict[str, _Seen] = {}
        self._unrouted = self._unready = 0
        if known:
            self.look()

    def look(self, pause: Callable[[], object] = bool) -> Look:
        """What was counted since the last look. `pause` is called after each few names, so
        that others get on meanwhile."""
        counters, found = self._counters, Look()
        seen: dict[str, _Seen] = {}
        for name, traffic in paused(_all(counters), pause):
            before = self._seen.get(name)
            if before is None or before.of is not traffic:
                before = _Seen()
            if before.requests == traffic.requests and before.troubles == _troubles(traffic):
                seen[name] = before
                continue
            now = seen[name] = _Seen(traffic)
            sums = now.since(before)
            kind, _, rest = name.partition(":")
            if kind != _UNSERVED:
                found.named[name] = sums
            if kind != ROUTE:
                found.add(named(POOL, rest.partition("/")[0]), sums)
        self._seen = seen
        for name, sums in found.named.items():
            if name.startswith(f"{POOL}:"):
                found.total.add(sums)
        unrouted, unready = counters.unrouted, counters.unready
        found.total.requests += unrouted - self._unrouted + unready - self._unready
        found.total.errors += unready - self._unready
        self._unrouted, self._unready = unrouted, unready
        return found


def paused(items: Iterable[T], pause: Callable[[], object]) -> Iterator[T]:
    """The items, with a pause after each PIECE of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % PIECE == 0:
            pause()


_UNSERVED = "unserved"


class _Seen:
    """A name's counters as they were at a look; without any: as they begin."""

    __slots__ = ("counts", "latency", "of", "requests", "troubles")

    def __init__(self, of: Traffic | None = None) -> None:
        self.of = of
        if of is None:
            self.requests = 0
            self.troubles = 0, 0
            self.counts: tuple[int, ...] = (0, 0, 0)
            self.latency: list[int] = _NOTHING
        else:
            self.requests = of.requests
            self.troubles = _troubles(of)
            errors = sum(of.statuses[kind] for kind in _ERRORS)
            self.counts = errors, of.sent_bytes, of.received_bytes
            self.latency = of.latency.copy()

    def since(self, before: _Seen) -> Sums:
        sums = Sums()
        sums.requests = self.requests - before.requests
        sums.errors, sums.sent_bytes, sums.received_bytes = map(sub, self.counts, before.counts)
        sums.retries, sums.ejections = map(sub, self.troubles, before.troubles)
        if self.latency != before.latency:
            grown = list(map(sub, self.latency, before.latency))
            sums.latency = {slot: grown[slot] for slot in compress(_SLOTS, grown)}
        return sums


_SLOTS = range(len(Traffic().latency))
_NOTHING = [0] * len(_SLOTS)


def _all(counters: Counters) -> Iterator[tuple[str, Traffic]]:
    """Copies, as another thread may add names."""
    kinds: tuple[tuple[str, Mapping[str, Traffic]], ...] = (
        (BACKEND, counters.backends),
        (_UNSERVED, counters.unserved),
        (ROUTE, counters.routes),
    )
    for kind, traffics in kinds:
        for name, traffic in tuple(traffics.items()):
            yield named(kind, name), traffic


def _troubles(of: Traffic) -> tuple[int, int]:
    return (of.retries, of.ejections) if isinstance(of, BackendTraffic) else (0, 0)
