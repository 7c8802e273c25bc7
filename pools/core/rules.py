"""What must hold between values of a document: unique names, references, pairs of fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pools.core.document import (
    Condition,
    CookieSecure,
    Document,
    HashOn,
    HostMode,
    Match,
    Policy,
    Pool,
    PrefixMode,
    Route,
    SameSite,
)
from pools.core.errors import Path, Problem


def problems(document: Document) -> Iterator[Problem]:
    """Every problem of a document whose single values are valid."""
    yield from _repeated(("pools",), "name", (pool.name for pool in document.pools))
    for index, pool in enumerate(document.pools):
        yield from pool_problems(pool, ("pools", index))
    known = {pool.name for pool in document.pools}
    yield from _repeated(("routes",), "name", (route.name for route in document.routes))
    for index, route in enumerate(document.routes):
        if route.pool not in known:
            yield Problem(
                ("routes", index, "pool"),
                f"there is no pool {route.pool!r}: add it, or name one of "
                f"{', '.join(sorted(known)) or 'the pools (there is none yet)'}",
            )
        yield from route_problems(route, ("routes", index))


def pool_problems(pool: Pool, at: Path = ()) -> Iterator[Problem]:
    """What must hold within one pool."""
    named = pool.hash.on in (HashOn.HEADER, HashOn.COOKIE)
    if pool.policy is Policy.CONSISTENT_HASH and named and not pool.hash.name:
        yield Problem(
            (*at, "hash", "name"), f"say which {pool.hash.on} to hash: its name is missing"
        )
    if pool.host.mode is HostMode.FIXED and not pool.host.value:
        yield Problem((*at, "host", "value"), "mode fixed needs the Host to send")
    sticky = pool.sticky
    if sticky.same_site is SameSite.NONE and sticky.secure is CookieSecure.NEVER:
        yield Problem(
            (*at, "sticky", "secure"),
            "browsers refuse a cookie of SameSite None that is not Secure: use auto or always",
        )
    if pool.probe.timeout_s > pool.probe.interval_s:
        yield Problem(
            (*at, "probe", "timeout_s"),
            f"{pool.probe.timeout_s:g} s is longer than the interval of "
            f"{pool.probe.interval_s:g} s: make it shorter",
        )
    yield from _repeated(
        (*at, "backends"), "host", (backend.address for backend in pool.backends)
    )


def route_problems(route: Route, at: Path = ()) -> Iterator[Problem]:
    """What must hold within one route."""
    if route.prefix_mode is PrefixMode.REPLACE and not route.prefix_replacement:
        yield Problem(
            (*at, "prefix_replacement"), "prefix_mode replace needs the prefix to send instead"
        )
    for index, condition in enumerate(route.conditions):
        path = (*at, "conditions", index, "value")
        if _wants_value(condition) and not condition.value:
            yield Problem(path, f"match {condition.match} needs a value to compare with")
        elif condition.value and not _wants_value(condition):
            yield Problem(path, f"match {condition.match} compares with no value: remove it")


def _wants_value(condition: Condition) -> bool:
    return condition.match in (Match.EQUALS, Match.PREFIX, Match.CONTAINS)


def _repeated(at: Path, field: str, values: Iterable[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in first:
            yield Problem(
                (*at, index, field), f"{value!r} is there already at {at[-1]}[{first[value]}]"
            )
        first.setdefault(value, index)
