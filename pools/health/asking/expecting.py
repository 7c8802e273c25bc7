"""What an answer must hold: text, or a value in its JSON."""

from __future__ import annotations

import json
from typing import Any

from pools.health.asking.words import Unmet

_SHOWN = 40
_MISSING = object()


def in_json(body: bytes, path: str, expected: str) -> None:
    """Checks the value at a path such as "checks.0.status"; raises Unmet.

    `expected` empty: any value will do. Else it is read as JSON where it is JSON, and a
    string of just this text will do, too: `3` takes 3, 3.0 and "3", `ok` takes "ok", and
    `"3"` the string alone.
    """
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Unmet("the answer is not JSON") from None
    for step in path.split("."):
        found = _below(found, step)
        if found is _MISSING:
            raise Unmet(f"there is no {path} in its JSON")
    if expected and found != expected and not _same(found, _meant(expected)):
        raise Unmet(f"{path} is {_told(found)}, expected {_cut(expected)}")


def _below(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _MISSING)
    if isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10:
        index = int(step)
        return value[index] if index < len(value) else _MISSING
    return _MISSING


def _meant(expected: str) -> Any:
    try:
        return json.loads(expected)
    except (ValueError, RecursionError):
        return expected


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON: true is not 1, and 3 is 3.0."""
    match one, other:
        case (bool(), _) | (_, bool()):
            return one is other
        case (list(), list()):
            return len(one) == len(other) and all(map(_same, one, other))
        case (dict(), dict()):
            return one.keys() == other.keys() and all(
                _same(value, other[key]) for key, value in one.items()
            )
    return bool(one == other)


def _told(found: Any) -> str:
    """The value, if it is one that stays: what differs each time would be written each time."""
    match found:
        case dict():
            return "an object"
        case list():
            return "a list"
        case bool() | None:
            return json.dumps(found)
        case str():
            return json.dumps(_cut(found), ensure_ascii=False)
    return "another number"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
