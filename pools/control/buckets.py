"""Spans of time in the database: what processes carried in each, in parts.

Rules:
- Each width is kept for some time: ten seconds for the last minutes, then coarser ones.
- A span's row of part 0 has its total, when its writer was there, and the connections that
  were open. The names are spread over PARTS others, so that one name's past is read without
  all others'. A part that carried nothing has no row.
- What is packed is JSON, some names on a line, compressed. One name is found in it without
  reading the rest: within a name a quote is escaped, so that `{"name":` and `,"name":`
  stand nowhere else.
- Rows of the same span and part add up. They are no rows of a configuration: names in them
  may be gone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pools.core.sums import PIECE, Look, Sums, paused
from pools.models import TrafficBucket, TrafficNow

FINE_S, MINUTES_S, HOUR_S = 10, 600, 3600
# How long each is kept: what is shown of it, and some more for who reads meanwhile.
KEPT_S: Mapping[int, int] = {
    FINE_S: 20 * 60,
    MINUTES_S: 25 * 3600,
    HOUR_S: 8 * 24 * 3600,
}
WHOLE = 0  # the part of the total
PARTS = 16
NOW_KEPT_S = 300
MOST_NAMES = 50_000  # of a span: what is beyond is in its total alone

Pause = Callable[[], object]
Packed = list[int]
Stored = bytes | memoryview  # as databases give it


@dataclass(slots=True)
class Span:
    """What one process carried from `since` to `until`, of the span that begins at
    `begins_at`. Times are seconds since 1970; `connection_s` are connections times seconds,
    of `took_s` in all."""

    width_s: int
    begins_at: int
    since: float
    until: float = 0.0
    connection_s: float = 0.0
    took_s: float = 0.0
    total: Sums = field(default_factory=Sums)
    named: dict[str, Sums] = field(default_factory=dict)
    _borrowed: bool = False  # `named` is that of the only look so far

    def add(
        self, look: Look, connections: int, *, until: float, took_s: float, pause: Pause
    ) -> None:
        self.until = until
        self.connection_s += connections * took_s
        self.took_s += took_s
        self.total.add(look.total)
        if self.named or len(look.named) > MOST_NAMES:
            self._add(look.named, pause)
        else:
            self.named, self._borrowed = look.named, True

    def absorb(self, other: Span, pause: Pause) -> None:
        """Add another one's, which lies in it."""
        self.until = other.until
        self.connection_s += other.connection_s
        self.took_s += other.took_s
        self.total.add(other.total)
        self._add(other.named, pause)

    def _add(self, named: Mapping[str, Sums], pause: Pause) -> None:
        if self._borrowed:
            borrowed, self.named, self._borrowed = self.named, {}, False
            self._add(borrowed, pause)
        for name, sums in paused(named.items(), pause):
            own = self.named.get(name)
            if own is None:
                if len(self.named) >= MOST_NAMES:
                    continue
                own = self.named[name] = Sums()
            own.add(sums)

    def rows(self, pause: Pause) -> list[TrafficBucket]:
        """As rows, not saved."""
        whole = {
            "since": round(self.since, 1),
            "until": round(self.until, 1),
            "connections": round(self.connection_s / self.took_s, 1) if self.took_s else 0,
            "took_s": round(self.took_s, 1),
            "total": self.total.packed(),
        }
        parts: dict[int, dict[str, list[int]]] = {}
        for name, sums in paused(self.named.items(), pause):
            parts.setdefault(part_of(name), {})[name] = sums.packed()
        packed = {WHOLE: pack([whole])}
        packed |= {part: pack(lines(entries, pause)) for part, entries in parts.items()}
        return [
            TrafficBucket(
                width_s=self.width_s, part=part, begins_at=self.begins_at, packed=data
            )
            for part, data in packed.items()
        ]


def part_of(name: str) -> int:
    """Where a name is: the same in each process."""
    return 1 + zlib.crc32(name.encode()) % PARTS


def lines(entries: Mapping[str, Packed], pause: Pause) -> Iterator[dict[str, Packed]]:
    """Some entries after the other."""
    items = iter(entries.items())
    while some := dict(islice(items, PIECE)):
        yield some
        pause()


def pack(lines: Iterable[Mapping[str, Any]]) -> bytes:
    text = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines)
    return zlib.compress(text.encode(), level=1)


def unpack(packed: Stored) -> Iterator[dict[str, Any]]:
    """The lines."""
    return map(json.loads, unread(packed))


def unread(packed: Stored) -> list[bytes]:
    """The lines as JSON, for who reads a few of them."""
    return zlib.decompress(packed).splitlines()


def find(packed: Stored, name: str) -> Sums | None:
    """One name's; None: it is not in there."""
    data, key = zlib.decompress(packed), f"{json.dumps(name)}:".encode()
    for before in (b"{", b","):
        at = data.find(before + key)
        if at >= 0:
            begin = at + len(before) + len(key)
            return Sums.unpacked(json.loads(data[begin : data.index(b"]", begin) + 1]))
    return None


def trim(now: float) -> None:
    """Delete what is older than what is kept."""
    for width_s, kept_s in KEPT_S.items():
        _delete(TrafficBucket.objects.filter(width_s=width_s, begins_at__lt=now - kept_s))
    _delete(TrafficNow.objects.filter(seen_at__lt=now - NOW_KEPT_S))


def _delete(old: Any) -> None:
    if old.exists():  # a delete of nothing, too, would make SQLite's other writers wait
        old.delete()
