"""What is different between two documents, by name. Secrets in it are masked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from pools.control.compile import canonical, name_of
from pools.core import codec, masking
from pools.core.document import Document

_SHOWN = 120
_MAPPINGS = frozenset(name for _, name in codec.MAPPINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. `path` names things: pools[web].backends[10.0.0.1:80].weight.

    `old` and `new` are plain values, None where there is none.
    """

    kind: Literal["+", "-", "~"]
    path: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        """One line: `~ pools[web].backends[10.0.0.1:80].weight: 1 -> 5`."""
        match self.kind:
            case "~":
                return f"~ {self.path}: {_shown(self.old)} -> {_shown(self.new)}"
            case "+":
                return f"+ {self.path}{_value(self.new)}"
        return f"- {self.path}{_value(self.old)}"


def diff(old: Document, new: Document) -> tuple[Change, ...]:
    """The changes that make `new` of `old`, pools first, each by name and then by field.

    Something added or removed is one change, and one more for each backend in it.
    """
    return tuple(
        _mappings(
            "",
            codec.to_plain(canonical(old), defaults=True),
            codec.to_plain(canonical(new), defaults=True),
        )
    )


def _mappings(at: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for key, before in old.items():
        after = new[key]
        path = f"{at}.{key}" if at else key
        if key in ("pools", "routes", "backends"):
            yield from _named(path, _by_name(before), _by_name(after))
        elif key in _MAPPINGS:
            yield from map(_masked, _named(path, before, after))
        elif isinstance(before, dict):
            yield from _mappings(path, before, after)
        elif before != after:
            old_value, new_value = masking.plain(before), masking.plain(after)
            yield Change(kind="~", path=path, old=old_value, new=new_value)


def _named(at: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Things with names: what is in both is compared, the rest came or went."""
    for name in sorted(old.keys() | new.keys()):
        path = f"{at}[{name}]"
        if name not in old:
            yield Change(kind="+", path=path, new=masking.plain(new[name]))
            yield from _backends(path, {}, new[name])
        elif name not in new:
            yield Change(kind="-", path=path, old=masking.plain(old[name]))
            yield from _backends(path, old[name], {})
        elif isinstance(old[name], dict):
            yield from _mappings(path, old[name], new[name])
        elif old[name] != new[name]:
            yield Change(kind="~", path=path, old=old[name], new=new[name])


def _masked(change: Change) -> Change:
    """A header field that is different, without what is secret of it."""
    name = change.path.removesuffix("]").rpartition("[")[2]
    old, new = (value and masking.shown(name, value) for value in (change.old, change.new))
    return replace(change, old=old, new=new)


def _backends(at: str, old: Any, new: Any) -> Iterator[Change]:
    before, after = (
        _by_name(item.get("backends", ())) if isinstance(item, dict) else {}
        for item in (old, new)
    )
    yield from _named(f"{at}.backends", before, after)


def _by_name(items: Any) -> dict[str, Any]:
    return {name_of(item): item for item in items}


def _value(value: Any) -> str:
    """A header's value after its name; a whole pool, route or backend is its name alone."""
    return "" if isinstance(value, dict) else f": {_shown(value)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
