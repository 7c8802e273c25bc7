"""The routes in the order in which they match, a line for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pools.control import route_table
from pools.core import masking
from pools.core.document import Condition
from pools.core.precedence import ANY, Pattern, Shadow

NAMES = ("#", "route", "hosts", "prefix", "conditions", "pool", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A route. `place` from 1 on; None: it is disabled and has none."""

    place: int | None
    pattern: Pattern
    pool: str
    shadow: Shadow | None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        one, shadow = self.pattern, self.shadow
        return {
            "place": self.place,
            "route": one.name,
            "enabled": one.enabled,
            "hosts": list(one.hosts),
            "path_prefix": one.prefix,
            "methods": sorted(one.methods),
            "conditions": [condition_text(each) for each in one.conditions],
            "pool": self.pool,
            "never_taken": bool(shadow and shadow.whole),
            "shadowed_by": [{"host": host or None, "route": name} for host, name in shadow.by]
            if shadow
            else [],
        }

    def cells(self) -> tuple[str, ...]:
        """As NAMES."""
        one = self.pattern
        note = shadow_text(self.shadow) if self.shadow else ""
        return (
            str(self.place or "-"),
            one.name,
            ", ".join(one.hosts) or "any",
            one.prefix,
            conditions_text(one),
            self.pool,
            note if one.enabled else "disabled",
        )


def lines(host: str | None = None) -> list[Line]:
    """All of them, or those alone that requests to a host may go to; one query."""
    table = route_table.read()
    names = {pk: name for name, pk in table.id_of.items()}
    found = []
    for pk in table.ids if host is None else table.for_host(host):
        pattern, pool = table.patterns[names[pk]]
        found.append(
            Line(
                place=table.places.get(pk),
                pattern=pattern,
                pool=pool,
                shadow=table.shadows.get(pk),
            )
        )
    return found


def conditions_text(one: Pattern) -> str:
    """ "GET or POST; X-Beta present; X-Version equals 2"."""
    methods = (" or ".join(sorted(one.methods)),) if one.methods else ()
    return "; ".join((*methods, *map(condition_text, one.conditions)))


def condition_text(condition: Condition) -> str:
    value = masking.shown(condition.header, condition.value)
    return f"{condition.header} {condition.match} {value}".rstrip()


def shadow_text(shadow: Shadow) -> str:
    """ "never taken: api takes all of it"."""
    if shadow.never:
        return f"never taken: it wants {shadow.never} present and absent"
    takers = list(dict.fromkeys(name for _, name in shadow.by))
    if shadow.whole:
        verb = "takes" if len(takers) == 1 else "take"
        return f"never taken: {_and(takers)} {verb} all of it"
    parts = (f"{name} takes all of {host or ANY}" for host, name in shadow.by)
    return f"not on every host: {_and(parts)}"


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
