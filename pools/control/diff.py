"""What is different between two documents, by name. Secrets in it are masked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from pools.control.compile import canonical, name_of
from pools.core import codec, masking
from pools.core.document import Backend, Document, Pool, Route
from pools.core.errors import DocumentError, Problem

_SHOWN = 120

# A backend's path ends with its address or one field: an address may hold brackets.
_BACKEND = re.compile(r"pools\[([^\]]+)\]\.backends\[(.+)\](?:\.(\w+))?$")
_PART = re.compile(r"(pool|route)s\[([^\]]+)\](?:\.(.+))?$")
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


def place(path: str) -> tuple[str, str, str, str]:
    """What the path of a difference is about: pool or route, its name, the address of a backend
    of it or "", and the field or ""."""
    if match := _BACKEND.match(path):
        return "pool", match[1], match[2], match[3] or ""
    match = _PART.match(path)
    assert match, path
    return match[1], match[2], "", match[3] or ""


def diff(old: Document, new: Document) -> tuple[Change, ...]:
    """The changes that make `new` of `old`, pools first, each by name and then by field.

    Something added or removed is one change, and one more for each backend in it.
    """
    before, after = _differing(old, new)
    return tuple(
        _mappings(
            "",
            codec.to_plain(canonical(before), defaults=True),
            codec.to_plain(canonical(after), defaults=True),
        )
    )


def diff_plain(old: object, new: object) -> tuple[Change, ...]:
    """As `diff`, of documents as revisions keep them: canonical, with every default. They are
    not parsed, which takes long of many backends; what an older version did not know has its
    default. Raises DocumentError where something has no form of a document.
    """
    try:
        before, after = (_by_kind(document) for document in (old, new))
        return tuple(_mappings("", *_completed(before, after)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DocumentError(
            [Problem((), f"is no document of this version: {error!r}")]
        ) from None


def _by_kind(document: Any) -> dict[str, dict[str, dict[str, Any]]]:
    return {kind: _by_name(document.get(kind, ())) for kind in ("pools", "routes")}


def _completed(*documents: dict[str, dict[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Documents without what is equal in both, and with every default."""
    first, second = documents
    for found in documents:
        plain = {}
        for kind, parts in found.items():
            changed = [
                part
                for name, part in parts.items()
                if first[kind].get(name) != second[kind].get(name)
            ]
            plain[kind] = [_complete(part, _DEFAULTS[kind]) for part in changed]
        yield plain


_DEFAULTS: dict[str, dict[str, Any]] = {
    "pools": codec.to_plain(Pool(name="-"), defaults=True),
    "routes": codec.to_plain(Route(name="-", pool="-"), defaults=True),
    "backends": codec.to_plain(Backend(host="-", port=1), defaults=True),
}


def _complete(part: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    found = {**usual, **part}
    for key, value in usual.items():
        if key == "backends":
            known = _DEFAULTS[key]
            found[key] = [
                one if known.keys() <= one.keys() else {**known, **one} for one in found[key]
            ]
        elif isinstance(value, dict) and key not in _MAPPINGS:
            found[key] = _complete(found[key], value)
    return found


def _differing(old: Document, new: Document) -> tuple[Document, Document]:
    """Both without what is equal in them: of many pools one differs, mostly."""
    pools = {part.name: part for part in old.pools}
    routes = {part.name: part for part in old.routes}
    same = {part.name for part in new.pools if pools.get(part.name) == part}
    led = {part.name for part in new.routes if routes.get(part.name) == part}
    first, second = (
        Document(
            pools=tuple(part for part in found.pools if part.name not in same),
            routes=tuple(part for part in found.routes if part.name not in led),
        )
        for found in (old, new)
    )
    return first, second


def _mappings(at: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for key, before in old.items():
        after: Any = new.get(key)
        if before == after:
            continue
        path = f"{at}.{key}" if at else key
        if key in ("pools", "routes", "backends"):
            yield from _named(path, _by_name(before), _by_name(after))
        elif key in _MAPPINGS:
            yield from map(_masked, _named(path, before, after))
        elif isinstance(before, dict):
            yield from _mappings(path, before, after)
        else:
            old_value, new_value = masking.plain(before), masking.plain(after)
            yield Change(kind="~", path=path, old=old_value, new=new_value)


def _named(at: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Things with names: what is in both is compared, the rest came or went."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        path = f"{at}[{name}]"
        if name not in old:
            yield Change(kind="+", path=path, new=masking.plain(new[name]))
            yield from _backends(path, {}, new[name])
        elif name not in new:
            yield Change(kind="-", path=path, old=masking.plain(old[name]))
            yield from _backends(path, old[name], {})
        elif isinstance(old[name], dict):
            yield from _mappings(path, old[name], new[name])
        else:
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
