"""Which route takes a request, and why not another.

Rules:
- A route is a candidate when it is enabled and its host, prefix, methods and conditions
  all hold. Of the candidates the most specific wins, by this order: host (exact, then
  the longest wildcard, then any), then the longest prefix, then the most conditions
  (methods count as one), then the name.
- A prefix ends on a segment boundary: /api takes /api, /api/ and /api/x, never /apix.
- Matching is on the raw path, the very bytes that go on to the backend: nothing is
  decoded and no dot segment resolved.
- There is a trie of path segments for each host, so that the cost of a match grows with
  the segments of the longest prefix and not with the number of routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from pools.core import masking
from pools.core.compiled import CompiledRoute
from pools.core.document import Match
from pools.core.request import RequestHead
from pools.core.target import MAX_HOST


class Cause(IntEnum):
    """Why a route did not take a request; what came closest to taking it first."""

    OUTRANKED = 0  # all of it holds
    CONDITION = 1
    METHOD = 2
    DISABLED = 3
    PATH = 4
    HOST = 5


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A route that did not take a request, and why, in words."""

    route: CompiledRoute
    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The route taken, if any, and all others in the order of precedence."""

    taken: CompiledRoute | None
    passed_over: tuple[PassedOver, ...]

    def closest(self, most: int) -> tuple[PassedOver, ...]:
        """Those that came closest to taking the request."""
        return tuple(sorted(self.passed_over, key=lambda other: other.cause)[:most])


class _Node:
    """The routes whose prefix ends here, most specific first, and the segments below."""

    __slots__ = ("children", "parent", "routes")

    def __init__(self, parent: _Node | None = None) -> None:
        self.parent = parent
        self.children: dict[bytes, _Node] = {}
        self.routes: tuple[CompiledRoute, ...] = ()

    def add(self, segments: Iterable[bytes], route: CompiledRoute) -> None:
        node = self
        for segment in segments:
            node = node.children.setdefault(segment, _Node(node))
        node.routes = tuple(sorted((*node.routes, route), key=_within_prefix))

    def deepest(self, segments: list[bytes], head: RequestHead) -> CompiledRoute | None:
        """The first route that holds, from the longest prefix up."""
        node = self
        for segment in segments:
            child = node.children.get(segment)
            if child is None:
                break
            node = child
        up: _Node | None = node
        while up is not None:
            for route in up.routes:
                if not (route.conditions or route.methods) or route.holds(head):
                    return route
            up = up.parent
        return None


class RouteTable:
    """All routes of a snapshot. Immutable once made."""

    __slots__ = ("_any", "_depth", "_exact", "_wildcard", "routes")

    def __init__(self, routes: Iterable[CompiledRoute]) -> None:
        self.routes = tuple(routes)
        self._exact: dict[str, _Node] = {}
        self._wildcard: dict[str, _Node] = {}  # by the name behind "*."
        self._any = _Node()
        self._depth = 0
        for route in self.routes:
            if route.spec.enabled:
                self._add(route)

    def _add(self, route: CompiledRoute) -> None:
        segments = _segments(route.prefix)
        self._depth = max(self._depth, len(segments))
        if not route.spec.hosts:
            self._any.add(segments, route)
        for host in route.spec.hosts:
            if host.startswith("*."):
                self._wildcard.setdefault(host[2:], _Node()).add(segments, route)
            else:
                self._exact.setdefault(host, _Node()).add(segments, route)

    def match(self, head: RequestHead) -> CompiledRoute | None:
        """The route that takes the request; None: there is none."""
        # What lies deeper than any prefix need not be split.
        segments = head.path.split(b"/", self._depth + 1)
        # A path that does not begin with "/" ("*" of OPTIONS) is below the root alone.
        below = segments[1:] if not segments[0] else []
        host = head.host
        root = self._exact.get(host)
        if root is not None and (found := root.deepest(below, head)) is not None:
            return found
        # A longer name does not exist, and one of thousands of dots would cost their square.
        if self._wildcard and len(host) <= MAX_HOST:
            dot = host.find(".")
            while dot >= 0:
                root = self._wildcard.get(host[dot + 1 :])
                if root is not None and (found := root.deepest(below, head)) is not None:
                    return found
                dot = host.find(".", dot + 1)
        return self._any.deepest(below, head)

    def explain(self, head: RequestHead) -> Explanation:
        """What `match` does with the request and why; its cost grows with the routes."""
        taken = self.match(head)
        others = sorted(
            (route for route in self.routes if route is not taken),
            key=lambda route: _precedence(route, head),
        )
        return Explanation(
            taken, tuple(PassedOver(route, *_reason(route, head, taken)) for route in others)
        )


def _segments(prefix: bytes) -> list[bytes]:
    return [] if prefix == b"/" else prefix.split(b"/")[1:]


def _within_prefix(route: CompiledRoute) -> tuple[int, str]:
    return -route.specificity, route.name


# --- Explaining: by the rules as they read, not by the trie ------------------------


def fitting(hosts: tuple[str, ...], host: str) -> str | None:
    """The most specific of a route's hosts that takes this one; "": it takes any."""
    if not hosts:
        return ""
    found = [
        pattern
        for pattern in hosts
        if pattern == host
        or (pattern.startswith("*.") and len(host) <= MAX_HOST and host.endswith(pattern[1:]))
    ]
    return max(found, key=closeness, default=None)


def closeness(pattern: str | None) -> tuple[int, int]:
    """More is more specific: exact, then the longest wildcard, then any, then none."""
    if pattern is None:
        return 0, 0
    if not pattern:
        return 1, 0
    return (2, len(pattern)) if pattern.startswith("*.") else (3, 0)


def _precedence(route: CompiledRoute, head: RequestHead) -> tuple[int, int, int, int, str]:
    """Sorts the most specific route first."""
    kind, length = closeness(fitting(route.spec.hosts, head.host))
    return -kind, -length, -len(_segments(route.prefix)), *_within_prefix(route)


def _reason(
    route: CompiledRoute, head: RequestHead, taken: CompiledRoute | None
) -> tuple[Cause, str]:
    """Why a route other than `taken` does not take the request: the first cause found."""
    if not route.spec.enabled:
        return Cause.DISABLED, "it is disabled"
    if fitting(route.spec.hosts, head.host) is None:
        return Cause.HOST, f"host {head.host or '(none)'} is not {_either(route.spec.hosts)}"
    if not below(route.prefix, head.path):
        return Cause.PATH, f"path {_text(head.path)} is not below {route.spec.path_prefix}"
    if route.methods and head.method not in route.methods:
        either = _either(route.spec.methods)
        return Cause.METHOD, f"method {_text(head.method)} is not {either}"
    for condition in route.conditions:
        if not condition.holds(head):
            header = condition.spec.header
            value = masking.shown(header, condition.spec.value)
            unmet = _UNMET[condition.spec.match].format(value)
            return Cause.CONDITION, f"header {header} {unmet}"
    # What holds and was not taken stands behind what was.
    assert taken is not None
    return Cause.OUTRANKED, _outranked(route, head, taken)


_UNMET = {
    Match.EQUALS: "is not {!r}",
    Match.PREFIX: "does not begin with {!r}",
    Match.CONTAINS: "does not contain {!r}",
    Match.PRESENT: "is absent",
    Match.ABSENT: "is present",
}


def _outranked(route: CompiledRoute, head: RequestHead, taken: CompiledRoute) -> str:
    """By what `taken` is the more specific of two routes that both hold."""
    mine, best = fitting(route.spec.hosts, head.host), fitting(taken.spec.hosts, head.host)
    if mine != best:
        why = f"host {mine or '(any)'}, not {best}"
    elif route.prefix != taken.prefix:
        why = f"prefix {route.spec.path_prefix}, not {taken.spec.path_prefix}"
    elif route.specificity != taken.specificity:
        why = f"conditions: {route.specificity}, not {taken.specificity}"
    else:
        return f"as specific as {taken.name}, whose name comes first"
    return f"less specific than {taken.name} by its {why}"


def below(prefix: bytes, path: bytes) -> bool:
    """Whether a raw path is a prefix itself or lies below it, by its segments."""
    return prefix == b"/" or path == prefix or path.startswith(prefix + b"/")


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(words)


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "backslashreplace")
