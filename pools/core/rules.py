"""What must hold between values of a document: unique names, references, pairs of fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pools.core import probe_fields
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
    Probe,
    ProbeKind,
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
    yield from probe_problems(pool.probe, (*at, "probe"))
    yield from _repeated(
        (*at, "backends"), "host", (backend.address for backend in pool.backends)
    )


def probe_problems(probe: Probe, at: Path = ()) -> Iterator[Problem]:
    """What must hold within one probe.

    What its kind does not look at may stand there, as kinds are tried and changed; but for
    what promises a check that nobody makes.
    """
    if probe.timeout_s > probe.interval_s:
        yield Problem(
            (*at, "timeout_s"),
            f"{probe.timeout_s:g} s is longer than the interval of "
            f"{probe.interval_s:g} s: make it shorter",
        )
    if 0 < probe.down_interval_s < probe.interval_s:
        yield Problem(
            (*at, "down_interval_s"),
            f"{probe.down_interval_s:g} s is shorter than the interval of "
            f"{probe.interval_s:g} s: make it longer, or 0 for the same",
        )
    if probe.kind is ProbeKind.HTTP and probe.json_value and not probe.json_path:
        yield Problem((*at, "json_path"), "say where json_value is to stand")
    checks = {
        "json_path": (probe.json_path, ProbeKind.HTTP),
        "json_value": (probe.json_value, ProbeKind.HTTP),
        "send": (probe.send, ProbeKind.TCP),
        "expect": (probe.expect, ProbeKind.TCP),
    }
    for name, (value, kind) in checks.items():
        if value and probe.kind not in (kind, ProbeKind.OFF):
            yield Problem((*at, name), f"is for probes of kind {kind}: remove it")
    if probe.kind is ProbeKind.HTTP and probe.method == "HEAD":
        for name in ("text", "json_path"):
            if getattr(probe, name):
                yield Problem((*at, name), "an answer to HEAD has no body: use GET")
    expected = {
        ProbeKind.HTTP: ("text", probe.text.encode("utf-8", "surrogatepass")),
        ProbeKind.TCP: ("expect", probe_fields.unescaped(probe.expect)),
    }
    name, text = expected.get(probe.kind, ("", b""))
    if len(text) > probe.body_bytes:
        yield Problem(
            (*at, name),
            f"{len(text)} bytes cannot be in the first {probe.body_bytes} of an answer: "
            "make body_bytes larger",
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
