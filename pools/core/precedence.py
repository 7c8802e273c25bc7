"""The order in which routes are asked, and which of them never get a request.

Rules:
- The order is that of `routing`: host (exact, then the longest wildcard, then any), prefix,
  conditions, name. Routes that share a host stand together.
- A route of several hosts stands where the most specific of them belongs. For one host
  (`in_order(..., host)`) the order is exact whatever the hosts of a route.
- A route is shadowed on a host where another one, asked before it, takes every request that
  it could take there; it gets none at all where that holds for each of its hosts. Both have
  that host and that prefix then: one with a closer host takes a part of a wildcard's or of
  any host's requests alone, one with a longer prefix a part of the paths.
- That its conditions imply those of the other one is exact too, as header fields may be
  repeated: conditions about one header never say more together than each by itself, but for
  present and absent, which exclude each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pools.core.document import Condition, Match, Route
from pools.core.routing import closeness, fitting

ANY = ""  # in the place of a host: any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What says which requests a route takes. No list holds anything twice."""

    name: str
    enabled: bool
    hosts: tuple[str, ...]
    prefix: str
    methods: frozenset[str]
    conditions: tuple[Condition, ...]

    @property
    def segments(self) -> int:
        return 0 if self.prefix == "/" else self.prefix.count("/")

    @property
    def specificity(self) -> int:
        """As that of a CompiledRoute."""
        return len(self.conditions) + bool(self.methods)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """Why requests do not come to a route.

    `by`: its hosts on which another route takes them all (ANY: any host), each with the name
    of that one. `whole`: so it is on each of its hosts. `never`: the name of a header that it
    wants both present and absent, or "".
    """

    by: tuple[tuple[str, str], ...] = ()
    whole: bool = True
    never: str = ""


def pattern(route: Route) -> Pattern:
    return Pattern(
        name=route.name,
        enabled=route.enabled,
        hosts=route.hosts,
        prefix=route.path_prefix,
        methods=frozenset(route.methods),
        conditions=canonical(route.conditions),
    )


def canonical(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """In order, and none of them twice: what is said twice counts once."""
    return tuple(sorted(set(conditions), key=_rank))


def _rank(condition: Condition) -> tuple[str, str, str]:
    return condition.header, condition.match, condition.value


# --- The order ---------------------------------------------------------------------


def in_order(patterns: Iterable[Pattern], host: str | None = None) -> list[Pattern]:
    """Sorted as they are asked; with `host` those alone that requests to it may go to."""
    found = list(patterns)
    if host is not None:
        fits = [(one, fitting(one.hosts, host)) for one in found]
        there = [(closeness(best), one) for one, best in fits if best is not None]
        there.sort(key=lambda pair: (-pair[0][0], -pair[0][1], *_within(pair[1])))
        return [one for _, one in there]
    together = _together(found)

    def place(one: Pattern) -> tuple[int, int, str, int, int, str]:
        best = one.hosts[0] if one.hosts else ANY
        if len(one.hosts) > 1:
            best = max(one.hosts, key=lambda name: (*closeness(name), name))
        kind, length = closeness(best)
        return -kind, -length, together.get(best, best), *_within(one)

    return sorted(found, key=place)


def _within(one: Pattern) -> tuple[int, int, str]:
    """Sorts routes that a host is equally close to."""
    return -one.segments, -one.specificity, one.name


def _together(patterns: Iterable[Pattern]) -> dict[str, str]:
    """Hosts that routes have together, each with the first of their names: among their routes
    the prefix decides, whichever host a route begins with."""
    above: dict[str, str] = {}

    def first(host: str) -> str:
        while (up := above.setdefault(host, host)) != host:
            above[host] = host = above[up]
        return host

    for one in patterns:
        for other in one.hosts[1:]:
            low, high = sorted((first(one.hosts[0]), first(other)))
            above[high] = low
    return {host: first(host) for host in list(above)}


# --- Who shadows whom --------------------------------------------------------------


def shadows(patterns: Iterable[Pattern]) -> dict[str, Shadow]:
    """The routes that get no request on some or all of their hosts, by name.

    Disabled ones are not asked: they are not in it, and shadow nobody.
    """
    found: dict[str, Shadow] = {}
    asked: list[Pattern] = []
    nodes: dict[tuple[str, str], list[Pattern]] = defaultdict(list)
    for one in patterns:
        if not one.enabled:
            continue
        if never := _excluded(one):
            found[one.name] = Shadow(never=never)
            continue
        asked.append(one)
        for host in one.hosts or (ANY,):
            nodes[host, one.prefix].append(one)
    by: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (host, _), there in nodes.items():
        if len(there) > 1:
            for one, other in _covered(sorted(there, key=_within)):
                by[one.name].append((host, other.name))
    for one in asked:
        if taken := by.get(one.name):
            whole = len(taken) == max(1, len(one.hosts))
            found[one.name] = Shadow(by=tuple(sorted(taken)), whole=whole)
    return found


def _excluded(one: Pattern) -> str:
    """The header that it wants present and absent; "": there is none."""
    if len(one.conditions) < 2:
        return ""
    absent = {each.header.lower() for each in one.conditions if each.match is Match.ABSENT}
    for each in one.conditions:
        if each.match is not Match.ABSENT and each.header.lower() in absent:
            return each.header
    return ""


def covers(other: Pattern, one: Pattern) -> bool:
    """Whether `other` takes all that `one` takes, by methods and conditions."""
    if other.methods and not (one.methods and one.methods <= other.methods):
        return False
    return all(
        any(_implies(known, asked) for known in one.conditions) for asked in other.conditions
    )


def _implies(known: Condition, asked: Condition) -> bool:
    if known.header.lower() != asked.header.lower():
        return False
    match asked.match:
        case Match.ABSENT:
            return known.match is Match.ABSENT
        case Match.PRESENT:
            return known.match is not Match.ABSENT
        case Match.EQUALS:
            return known.match is Match.EQUALS and known.value == asked.value
        case Match.PREFIX:
            begins = known.match in (Match.EQUALS, Match.PREFIX)
            return begins and known.value.startswith(asked.value)
    holds = known.match in (Match.EQUALS, Match.PREFIX, Match.CONTAINS)
    return holds and asked.value in known.value


def _covered(there: list[Pattern]) -> Iterator[tuple[Pattern, Pattern]]:
    """Of routes with one host and prefix, in order: those that get no request there, each
    with the first that covers it."""
    common = Counter(_atom(each) for one in there for each in one.conditions)
    asked = _Asked()
    for place, one in enumerate(there):
        best = asked.first_to_cover(one)
        if best is not None:
            yield one, there[best]  # which covers all that this one would
            continue
        rarest = min(one.conditions, key=lambda each: common[_atom(each)], default=None)
        asked.add(place, one, rarest)


_Atom = tuple[str, Match, str]
_Placed = list[tuple[int, Pattern]]


def _atom(condition: Condition) -> _Atom:
    return condition.header.lower(), condition.match, condition.value


class _Asked:
    """The routes asked before, each found by one of its conditions, so that thousands with
    one host and prefix need not be compared with each other."""

    def __init__(self) -> None:
        self._bare: _Placed = []
        self._by_atom: dict[_Atom, _Placed] = {}
        self._contained: dict[str, list[str]] = defaultdict(list)

    def add(self, place: int, one: Pattern, condition: Condition | None) -> None:
        if condition is None:
            self._bare.append((place, one))
            return
        atom = _atom(condition)
        if atom not in self._by_atom:
            self._by_atom[atom] = []
            if atom[1] is Match.CONTAINS:
                self._contained[atom[0]].append(atom[2])
        self._by_atom[atom].append((place, one))

    def first_to_cover(self, one: Pattern) -> int | None:
        """The place of the first that covers it."""
        found: list[int] = []
        for some in (self._bare, *self._that_may(one)):
            place = next((place for place, other in some if covers(other, one)), None)
            if place is not None:
                found.append(place)
        return min(found, default=None)

    def _that_may(self, one: Pattern) -> Iterator[_Placed]:
        for condition in one.conditions:
            for atom in self._implied(*_atom(condition)):
                if some := self._by_atom.get(atom):
                    yield some

    def _implied(self, header: str, match: Match, value: str) -> Iterator[_Atom]:
        """Whatever the condition implies, as far as a route may be found by it."""
        if match in (Match.ABSENT, Match.EQUALS):
            yield header, match, value
        if match is Match.ABSENT:
            return
        yield header, Match.PRESENT, ""
        if match in (Match.EQUALS, Match.PREFIX):
            for end in range(1, len(value) + 1):
                yield header, Match.PREFIX, value[:end]
        for part in self._contained.get(header, ()):
            if part in value:
                yield header, Match.CONTAINS, part
