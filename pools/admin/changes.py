"""Differences for people to read: by pool and by rule, old and new, long ones folded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from pools.control.diff import Change, place
from pools.core import codec, masking
from pools.core.document import Backend, Part, Pool, Route
from pools.models.parts import PartModel

MOST = 200  # lines on a page
_SHORT = 80  # letters of a value that is not folded

Names = Mapping[int, str]

_KINDS = {"+": "added", "-": "removed", "~": "edited"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value as text; `short` is its beginning where `text` is long."""

    text: str
    short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One difference. `of`: the backend that it is of, "" for the pool's or rule's own;
    `name`: the field, "" for all of it. `kind`: added, removed or edited."""

    kind: str
    sign: str
    of: str = ""
    name: str = ""
    old: Value | None = None
    new: Value | None = None


@dataclass(slots=True)
class Group:
    """What became of one pool or rule. `kind`: added, removed or edited."""

    part: str
    name: str
    kind: str = "edited"
    lines: list[Line] = field(default_factory=list)


def rendered(changes: Sequence[Change]) -> SafeString:
    """The changes, the first MOST of them."""
    shown = changes[:MOST]
    context = {
        "groups": grouped(shown),
        "more": len(changes) - len(shown),
        "count": len(changes),
    }
    return mark_safe(render_to_string("pools/admin/changes.html", context))  # escaped there


def grouped(changes: Iterable[Change]) -> list[Group]:
    found: dict[tuple[str, str], Group] = {}
    for change in changes:
        part, name, of, column = place(change.path)
        group = found.setdefault((part, name), Group(part, name))
        kind = _KINDS[change.kind]
        if not of and not column:
            group.kind = kind
            if told := _told(part, change):
                group.lines.append(Line(kind=kind, sign=change.kind, **told))
            continue
        whole = bool(of) and not column
        values = _told("backend", change) if whole else _both(column, change)
        group.lines.append(Line(kind=kind, sign=change.kind, of=of, name=column, **values))
    return list(found.values())


def value(name: str, found: Any) -> Value | None:
    """A value of a column or field; secrets in it are masked."""
    if found is None:
        return None
    if isinstance(found, dict):
        found = masking.fields(found) if _is_headers(name) else masking.plain(found)
        text = "\n".join(f"{key}: {_text(item)}" for key, item in found.items())
    else:
        header = re.search(r"(?:set|headers)\[([^\]]+)\]$", name)
        text = masking.shown(header[1], found) if header else _text(found)
    if len(text) <= _SHORT and "\n" not in text:
        return Value(text=text or _("(empty)"))
    return Value(text=text, short=Truncator(" ".join(text.split())).chars(_SHORT))


def of_row(row: PartModel, names: Names | None = None) -> list[Line]:
    """What a new row has that is not as every new one has it."""
    blank = type(row)()
    lines = []
    for column in type(row).draft_columns():
        found = getattr(row, column)
        if found != getattr(blank, column):
            lines.append(line(type(row), column, None, found, names))
    return lines


def line(
    model: type[PartModel], column: str, old: Any, new: Any, names: Names | None = None
) -> Line:
    """A difference of a row's column. `names`: those of pools, where they are known."""
    spec: Any = next(each for each in model._meta.concrete_fields if each.attname == column)
    if spec.is_relation:
        rows = names if names is not None and spec.name == "pool" else None
        old, new = (_referred(spec.remote_field.model, each, rows) for each in (old, new))
    kind, sign = ("edited", "~") if old is not None else ("added", "+")
    return Line(
        kind=kind,
        sign=sign,
        name=str(spec.verbose_name),
        old=value(column, old),
        new=value(column, new),
    )


def _referred(model: type[Model], key: Any, names: Names | None) -> str | None:
    if key is None or names is not None:
        return (names or {}).get(key)
    row = model._base_manager.filter(pk=key).first()
    return str(row) if row else None


def _both(name: str, change: Change) -> dict[str, Any]:
    return {"old": value(name, change.old), "new": value(name, change.new)}


# A part of each kind as it is where nobody said anything.
_USUAL: dict[str, Part] = {
    "pool": Pool(name="-"),
    "backend": Backend(host="-", port=1),
    "route": Route(name="-", pool="-"),
}
_OWN = frozenset({"name", "host", "port", "backends"})


def _told(part: str, change: Change) -> dict[str, Any]:
    """What something that came or went is, but for its name and for what is as ever; its
    backends have lines of their own."""
    whole = change.new if change.kind == "+" else change.old
    if not isinstance(whole, dict):
        return {}
    usual = codec.to_plain(_USUAL[part], defaults=True)
    own = {key: item for key, item in whole.items() if key not in _OWN}
    found = dict(_unusual("", own, usual))
    if not found:
        return {}
    return {"new" if change.kind == "+" else "old": value("", found)}


def _unusual(
    at: str, found: dict[str, Any], usual: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    for key, item in found.items():
        before = usual.get(key)
        if item == before:
            continue
        path = f"{at}.{key}" if at else key
        if isinstance(item, dict) and isinstance(before, dict) and before:
            yield from _unusual(path, item, before)
        else:
            yield path, masking.fields(item) if isinstance(item, dict) else item


def _is_headers(name: str) -> bool:
    return name.endswith(("headers", "headers_set", "_set"))


def _text(found: Any) -> str:
    if isinstance(found, str):
        return found
    if isinstance(found, bool):
        return _("yes") if found else _("no")
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return ", ".join(found)
    return json.dumps(found, ensure_ascii=False)
