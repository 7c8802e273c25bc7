"""All routes as rows in the order in which they are asked, with who shadows whom.

Rules:
- It goes by the rows as they are now, published or not, and never by what was kept of them
  before: their texts are read each time (one query), and only what they come to is kept, for
  as long as they are the same.
- A row that does not hold, written past `full_clean`, takes no request and shadows nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from pools.core.document import Condition, Match
from pools.core.precedence import Pattern, Shadow, canonical, in_order, shadows
from pools.models import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """`ids` of all rows in order; `places` of the enabled ones, from 1 on, and `shadows` of
    those that get no request on some or all of their hosts, by id. `id_of` finds a row by
    name. `patterns` with the names of their pools, by name."""

    ids: tuple[int, ...]
    places: Mapping[int, int]
    shadows: Mapping[int, Shadow]
    id_of: Mapping[str, int]
    patterns: Mapping[str, tuple[Pattern, str]]

    def shadowed_by(self, name: str) -> list[str]:
        """The routes that get no request at all, and this one takes some of theirs."""
        return sorted(
            other
            for other, pk in self.id_of.items()
            if (shadow := self.shadows.get(pk))
            and shadow.whole
            and any(taker == name for _, taker in shadow.by)
        )

    def for_host(self, host: str) -> list[int]:
        """The ids of those that requests to a host may go to, in the order for that host."""
        there = in_order((pattern for pattern, _ in self.patterns.values()), host)
        return [self.id_of[one.name] for one in there]


_Row = tuple[Any, ...]
_LISTS = ("hosts", "methods", "conditions")

_kept: tuple[tuple[_Row, ...], RouteTable] | None = None


def read() -> RouteTable:
    """The table of the rows as they are; one query."""
    global _kept
    rows = tuple(
        Route.objects.order_by("pk").values_list(
            *("pk", "name", "enabled", "path_prefix", "pool__name"),
            *(Cast(name, TextField()) for name in _LISTS),
        )
    )
    kept = _kept
    if kept is None or kept[0] != rows:
        _kept = kept = rows, _table(rows)
    return kept[1]


def _table(rows: tuple[_Row, ...]) -> RouteTable:
    ids = {row[1]: row[0] for row in rows}
    patterns = {row[1]: (_pattern(row), row[4]) for row in rows}
    ordered = in_order(pattern for pattern, _ in patterns.values())
    enabled = [one.name for one in ordered if one.enabled]
    return RouteTable(
        ids=tuple(ids[one.name] for one in ordered),
        places={ids[name]: number for number, name in enumerate(enabled, start=1)},
        shadows={ids[name]: shadow for name, shadow in shadows(ordered).items()},
        id_of=ids,
        patterns=patterns,
    )


def _pattern(row: _Row) -> Pattern:
    _, name, enabled, prefix, _, hosts, methods, conditions = row
    try:
        return Pattern(
            name=name,
            enabled=enabled,
            hosts=_texts(hosts),
            prefix=prefix,
            methods=frozenset(_texts(methods)),
            conditions=_conditions(conditions),
        )
    except (AttributeError, TypeError, ValueError):
        return Pattern(
            name=name,
            enabled=False,
            hosts=(),
            prefix=prefix,
            methods=frozenset(),
            conditions=(),
        )


# Most rows say what another one says too, and all of them what they said before.
@lru_cache(maxsize=16_384)
def _texts(stored: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(json.loads(stored)))


@lru_cache(maxsize=16_384)
def _conditions(stored: str) -> tuple[Condition, ...]:
    return canonical(_condition(**each) for each in json.loads(stored))


def _condition(*, header: str, match: str = Match.EQUALS, value: str = "") -> Condition:
    return Condition(header=header, match=Match(match), value=value)
