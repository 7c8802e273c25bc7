"""Rows to a document, in the one canonical order.

Order says nothing anywhere in a document: pools and routes are sorted by name, backends
by host and port, and every other list by its values. Two documents that mean the same
are therefore equal once canonical, and export, apply and compile are the identity.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from pools import site
from pools.core import codec, fields
from pools.core.document import Backend, Condition, Document, Part, Pool, Route
from pools.core.errors import DocumentError, Path, Problem
from pools.models import Pool as PoolRow
from pools.models import Route as RouteRow

P = TypeVar("P", bound=Part)


def document() -> Document:
    """The canonical document of the rows as they are; three queries.

    Raises DocumentError with paths by name (pools[web].policy), as rows have no index
    that people know. Rows written past `full_clean` (by QuerySet.update) end up here.
    """
    plain: dict[str, Any] = {
        "pools": [
            {**row.plain(), "backends": [backend.plain() for backend in row.backends.all()]}
            for row in PoolRow.objects.prefetch_related("backends")
        ],
        "routes": [row.plain() for row in RouteRow.objects.select_related("pool")],
    }
    return of_plain(plain)


def of_plain(plain: dict[str, Any]) -> Document:
    """The canonical document of rows as plain data; raises DocumentError with paths by name."""
    try:
        return checked(plain)
    except DocumentError as error:
        raise DocumentError(
            Problem(_named(problem.path, plain), problem.message) for problem in error.problems
        ) from None


def checked(plain: object) -> Document:
    """The canonical document of plain data, by core's rules and the site's.

    Raises DocumentError with every problem.
    """
    found = codec.parse(plain)
    if problems := tuple(site.problems(found)):
        raise DocumentError(problems)
    return canonical(found)


def canonical(part: P) -> P:
    """The same part with every list sorted and without what it says twice."""
    values = {
        spec.name: _canonical(getattr(part, spec.name)) for spec in dataclasses.fields(part)
    }
    return type(part)(**values)


def _canonical(value: Any) -> Any:
    if isinstance(value, Part):
        return canonical(value)
    if isinstance(value, tuple):
        items = {canonical(item) if isinstance(item, Part) else item for item in value}
        return tuple(sorted(items, key=_rank))
    return value


def _rank(item: Any) -> Any:
    match item:
        case Pool() | Route():
            return item.name
        case Backend():
            return item.host, item.port
        case Condition():
            return item.header, item.match, item.value
    return item


def name_of(item: dict[str, Any]) -> str:
    """What a plain pool, route or backend is called: its name, or its host:port."""
    return str(item["name"]) if "name" in item else fields.host_port(item["host"], item["port"])


def _named(path: Path, plain: dict[str, Any]) -> Path:
    """The path with pools, routes and backends by name: ("pools[web]", "policy")."""
    match path:
        case ("pools" | "routes" as kind, int(index), *rest):
            row = plain[kind][index]
            return (f"{kind}[{name_of(row)}]", *_named(tuple(rest), row))
        case ("backends" as kind, int(index), *rest):
            return (f"{kind}[{name_of(plain[kind][index])}]", *rest)
    return path
