"""Foreign data to documents and back.

`parse` and `to_plain` are inverse: parse(to_plain(d)) == d, whether or not defaults
are left out.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pools.core import rules
from pools.core.document import Document, HeaderEdit, Part, Probe
from pools.core.errors import DocumentError, Path, Problem

P = TypeVar("P", bound=Part)

# Pairs that are a mapping in plain data.
MAPPINGS = frozenset({(HeaderEdit, "set"), (Probe, "headers")})


# By hand, as mypy takes a frozen dataclass for no key of functools.cache.
_ADAPTERS: dict[type[Part], TypeAdapter[Any]] = {}


def _adapter(kind: type[Part]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def parse(data: object) -> Document:
    """The canonical document of plain data (dicts, lists, scalars).

    Raises DocumentError with every problem found: those of form first, and only where
    there are none those of sense (`rules.problems`).
    """
    document: Document = parse_part(Document, {} if data is None else data)
    if problems := tuple(rules.problems(document)):
        raise DocumentError(problems)
    return document


def parse_part(kind: type[P], data: object) -> P:
    """One part alone, checked for form; for editors of single objects."""
    try:
        part: P = _adapter(kind).validate_python(data)
    except ValidationError as error:
        raise DocumentError(
            _problem(kind, detail) for detail in error.errors(include_url=False)
        ) from None
    return part


def to_plain(part: Part, *, defaults: bool = False) -> dict[str, Any]:
    """Dicts, lists and scalars in the order of the fields.

    Without `defaults`, what equals its default is left out.
    """
    return dict(_items(part, defaults))


def _items(part: Part, defaults: bool) -> Iterator[tuple[str, Any]]:
    for spec in dataclasses.fields(part):
        value = getattr(part, spec.name)
        if not defaults and value == _default(spec):
            continue
        if (type(part), spec.name) in MAPPINGS:
            yield spec.name, dict(value)
        else:
            yield spec.name, _plain(value, defaults)


def _default(spec: dataclasses.Field[Any]) -> Any:
    if spec.default_factory is not dataclasses.MISSING:
        return spec.default_factory()
    return spec.default


def _plain(value: Any, defaults: bool) -> Any:
    if isinstance(value, Part):
        return to_plain(value, defaults=defaults)
    if isinstance(value, tuple):
        return [_plain(item, defaults) for item in value]
    return value.value if isinstance(value, Enum) else value


def _problem(kind: type[Part], detail: ErrorDetails) -> Problem:
    path: Path = detail["loc"]
    return Problem(path, _message(kind, path, detail))


def _message(kind: type[Part], path: Path, detail: ErrorDetails) -> str:
    found = _shown(detail["input"])
    match detail["type"]:
        case "value_error":
            return str(detail["ctx"]["error"])
        case "unexpected_keyword_argument":
            return _unknown(kind, path)
        case "missing":
            return "is missing: give a value"
        case "int_type":
            return f"{found} is not a whole number"
        case "float_type":
            return f"{found} is not a number"
        case "bool_type":
            return f"{found} is not true or false"
        case "string_type":
            return f"{found} is not text: quote it"
        case "enum":
            return f"{found} is not one of {detail['ctx']['expected']}"
        case "tuple_type":
            return f"{found} is not a list"
        case "dataclass_type":
            return f"{found} is not a mapping of names to values"
    return detail["msg"]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(kind: type[Part], path: Path) -> str:
    """Names the closest field of the part at `path`, where one is close."""
    known = [spec.name for spec in dataclasses.fields(_kind_at(kind, path[:-1]))]
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"unknown name: {hint}"


def _kind_at(kind: type[Part], path: Path) -> type[Part]:
    for step in path:
        if isinstance(step, str):
            kind = _children(kind)[step]
    return kind


def _children(kind: type[Part]) -> Mapping[str, type[Part]]:
    """The parts below a part, by field: a part itself or what its tuple holds."""
    children = {}
    for key, hint in typing.get_type_hints(kind).items():
        for candidate in (hint, *typing.get_args(hint)):
            if isinstance(candidate, type) and issubclass(candidate, Part):
                children[key] = candidate
    return children
