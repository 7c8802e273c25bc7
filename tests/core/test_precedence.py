"""The order of routes and who shadows whom, held to what the router does."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pools.core import document
from pools.core.document import Condition, Match
from pools.core.precedence import Shadow, in_order, pattern, shadows
from pools.core.snapshot import compile_snapshot
from tests.core.build import head


def route(name: str, path_prefix: str = "/", **spec) -> document.Route:
    conditions = tuple(
        Condition(header=words[0], match=Match(words[1]), value="".join(words[2:]))
        for words in (text.split() for text in spec.pop("conditions", ()))
    )
    return document.Route(
        name=name, pool="web", path_prefix=path_prefix, conditions=conditions, **spec
    )


def order(*routes: document.Route, host: str | None = None) -> list[str]:
    return [one.name for one in in_order(map(pattern, routes), host)]


def shadowed(*routes: document.Route) -> dict[str, Shadow]:
    return shadows(map(pattern, routes))


def table(*routes: document.Route):
    made = document.Document(pools=(document.Pool(name="web"),), routes=routes)
    return compile_snapshot(made, revision=1, secret=b"").routes


# --- the order


def test_exact_hosts_come_first_then_long_wildcards_then_any():
    assert order(
        route("any", "/very/long"),
        route("far", hosts=("*.example.com",)),
        route("near", hosts=("*.app.example.com",)),
        route("exact", hosts=("app.example.com",)),
    ) == ["exact", "near", "far", "any"]


def test_within_a_host_the_longest_prefix_then_conditions_then_the_name():
    assert order(
        route("b"),
        route("a"),
        route("get", methods=("GET",)),
        route("two", methods=("GET",), conditions=("X-A present",)),
        route("deep", "/a/b"),
    ) == ["deep", "two", "get", "a", "b"]


def test_routes_of_a_host_stand_together():
    assert order(
        route("b-root", hosts=("b.example",)),
        route("a-root", hosts=("a.example",)),
        route("b-deep", "/x", hosts=("b.example",)),
        route("a-deep", "/x", hosts=("a.example",)),
    ) == ["a-deep", "a-root", "b-deep", "b-root"]


def test_hosts_that_a_route_joins_are_in_one_order():
    assert order(
        route("both", hosts=("a.example", "b.example", "c.example")),
        route("deep", "/x", hosts=("c.example",)),
        route("other", "/x", hosts=("aa.example",)),
    ) == ["deep", "both", "other"]


def test_for_one_host_there_are_those_alone_that_fit_it():
    routes = (
        route("mixed", hosts=("a.example", "*.x.example")),
        route("wild", hosts=("*.b.x.example",)),
        route("any", "/deep"),
        route("else", hosts=("c.example",)),
    )
    assert order(*routes, host="1.b.x.example") == ["wild", "mixed", "any"]
    assert order(*routes, host="") == ["any"]


# --- who shadows whom


def test_a_route_that_says_the_same_is_shadowed_by_the_first_by_name():
    assert shadowed(route("b", "/x"), route("a", "/x"), route("c", "/x")) == {
        "b": Shadow(by=(("", "a"),)),
        "c": Shadow(by=(("", "a"),)),
    }


@pytest.mark.parametrize(
    ("other", "one"),
    [
        ({"methods": ("GET", "POST")}, {"methods": ("GET",)}),
        ({"conditions": ["X-A present"]}, {"conditions": ["x-a equals 1"]}),
        ({"conditions": ["X-A present"]}, {"conditions": ["x-a contains 1"]}),
        ({"conditions": ["X-A prefix 1"]}, {"conditions": ["x-a equals 12"]}),
        ({"conditions": ["X-A prefix 1"]}, {"conditions": ["x-a prefix 12"]}),
        ({"conditions": ["X-A contains 2"]}, {"conditions": ["x-a equals 12"]}),
        ({"conditions": ["X-A contains 2"]}, {"conditions": ["x-a prefix 12"]}),
        ({"conditions": ["X-A contains 2"]}, {"conditions": ["x-a contains 12"]}),
        ({"conditions": ["X-A absent"]}, {"conditions": ["x-a absent"]}),
        ({"conditions": ["X-A prefix 1", "X-A present"]}, {"conditions": ["x-a equals 12"]}),
    ],
)
def test_what_implies_the_conditions_of_an_earlier_one_is_shadowed(other, one):
    assert shadowed(route("a", **other), route("b", **one)) == {"b": Shadow(by=(("", "a"),))}


@pytest.mark.parametrize(
    ("other", "one"),
    [
        ({"methods": ("GET",)}, {"methods": ("GET", "POST")}),
        ({"methods": ("GET",)}, {"conditions": ["X-A present"]}),
        ({"conditions": ["X-A equals 1"]}, {"conditions": ["X-A prefix 1"]}),
        ({"conditions": ["X-A prefix 2"]}, {"conditions": ["X-A contains 2"]}),
        ({"conditions": ["X-A contains 2"]}, {"conditions": ["X-A present"]}),
        ({"conditions": ["X-A present"]}, {"conditions": ["X-A absent"]}),
        ({"conditions": ["X-A absent"]}, {"conditions": ["X-A equals 1"]}),
        ({"conditions": ["X-A absent"]}, {"conditions": ["X-B absent"]}),
        ({"hosts": ("a.example",)}, {}),
        ({"hosts": ("*.b.example",)}, {"hosts": ("*.example",)}),
        ({"hosts": ("*.example",)}, {"hosts": ("a.example",)}),
        ({"enabled": False}, {}),
        ({}, {"enabled": False}),
    ],
)
def test_what_gets_something_is_not_shadowed(other, one):
    assert shadowed(route("a", **other), route("b", **one)) == {}


def test_each_host_may_be_another_route_s():
    assert shadowed(
        route("a", hosts=("a.example",)),
        route("b", hosts=("*.b.example",)),
        route("c", hosts=("a.example", "*.b.example")),
        route("d", hosts=("a.example", "d.example")),
    ) == {
        "c": Shadow(by=(("*.b.example", "b"), ("a.example", "a"))),
        "d": Shadow(by=(("a.example", "a"),), whole=False),
    }


def test_what_wants_a_header_present_and_absent_never_gets_a_request():
    never = route("a", conditions=["X-A absent", "x-a prefix 1"])
    assert shadowed(never, route("b")) == {"a": Shadow(never="x-a")}


def test_thousands_with_one_host_and_prefix_are_told_apart():
    env = "X-Env equals prod"
    routes = [
        route(f"r{number:04}", conditions=[env, f"X-Tenant equals {number}."])
        for number in range(3000)
    ]
    routes += [
        route("twin", conditions=[env, "X-Tenant equals 7."]),
        route("wide", conditions=[env, "X-Tenant prefix 2999", "X-Tenant contains 9"]),
    ]
    assert shadowed(*routes) == {
        "twin": Shadow(by=(("", "r0007"),)),
        "r2999": Shadow(by=(("", "wide"),)),
    }


@pytest.mark.parametrize("test", ["present", "contains 1", "equals 1"])
def test_several_may_be_found_by_one_condition(test):
    conditions = [f"X-A {test}"]
    assert shadowed(
        route("a", conditions=conditions, methods=("GET",)),
        route("b", conditions=conditions, methods=("POST",)),
        route("c", conditions=conditions, methods=("POST", "PUT")),
        route("d", conditions=conditions, methods=("POST",)),
    ) == {"d": Shadow(by=(("", "b"),))}


# --- against the router

VALUES = ("1", "12", "2")
CONDITIONS = st.builds(
    lambda match, value: Condition(
        header="H", match=match, value="" if match in (Match.PRESENT, Match.ABSENT) else value
    ),
    st.sampled_from(Match),
    st.sampled_from(VALUES),
)
HOSTS = ("x", "a.x", "*.x", "*.a.x")
ROUTES = st.builds(
    document.Route,
    name=st.just("-"),
    pool=st.just("web"),
    enabled=st.sampled_from((True, True, True, False)),
    hosts=st.lists(st.sampled_from(HOSTS), max_size=2, unique=True).map(tuple),
    path_prefix=st.sampled_from(("/", "/p")),
    methods=st.lists(st.sampled_from(("GET", "POST")), max_size=2, unique=True).map(tuple),
    conditions=st.lists(CONDITIONS, max_size=2, unique=True).map(tuple),
)
TABLES = st.lists(ROUTES, min_size=1, max_size=4).map(
    lambda routes: tuple(replace(one, name=f"r{number}") for number, one in enumerate(routes))
)


# A host for each way in which hosts can fit, and every set of up to two values of the header
# such that each condition is met alone and by none but what implies it.
REQUEST_HOSTS = ("x", "a.x", "b.x", "b.a.x", "")
FIELD_VALUES = (b"1", b"12", b"2", b"13", b"01", b"012", b"0120", b"121", b"02", b"21", b"")
FIELDS = [
    [(b"h", value) for value in some]
    for count in range(3)
    for some in combinations(FIELD_VALUES, count)
]


def requests(host: str):
    for path in ("/", "/p"):
        for method in ("GET", "POST", "PUT"):
            for some in FIELDS:
                yield head(method, path, host=host, headers=some)


def covered_on(host: str, one: document.Route, routes) -> bool | None:
    """Whether a single other route takes all that `one` could get there; None: nothing."""
    alone = table(one)
    mine = [request for request in requests(host) if alone.match(request)]
    if not mine:
        return None
    for other in routes:
        if other is not one:
            both = table(one, other)
            if all(both.match(request).name == other.name for request in mine):
                return True
    return False


@settings(max_examples=150)
@given(TABLES)
def test_shadows_are_those_that_the_router_shows(routes):
    found = shadowed(*routes)
    for one in routes:
        if not one.enabled:
            assert one.name not in found
            continue
        seen = [covered_on(host, one, routes) for host in REQUEST_HOSTS]
        told = [covered for covered in seen if covered is not None]
        shadow = found.get(one.name)
        assert (not told) == bool(shadow and shadow.never)
        if told:
            assert all(told) == bool(shadow and shadow.whole), (one, seen)


def first_that_takes(ordered: list[str], alone, request) -> str | None:
    return next((name for name in ordered if alone[name].match(request)), None)


@settings(max_examples=100)
@given(TABLES, st.sampled_from(REQUEST_HOSTS))
def test_the_order_for_a_host_is_that_of_the_router(routes, host):
    ordered, all_of_them = order(*routes, host=host), table(*routes)
    alone = {one.name: table(one) for one in routes}
    for request in list(requests(host))[::7]:
        taken = all_of_them.match(request)
        assert first_that_takes(ordered, alone, request) == (taken and taken.name)


ONE_KIND = st.one_of(
    st.lists(st.sampled_from(("x", "a.x", "b.x")), min_size=1, max_size=3, unique=True),
    st.sampled_from((["*.x"], ["*.a.x"], [])),
).map(tuple)


@settings(max_examples=100)
@given(TABLES, st.data())
def test_the_whole_order_is_that_of_the_router_for_hosts_of_one_kind(routes, data):
    routes = [replace(one, hosts=data.draw(ONE_KIND)) for one in routes]
    ordered, all_of_them = order(*routes), table(*routes)
    alone = {one.name: table(one) for one in routes}
    for host in REQUEST_HOSTS:
        for request in list(requests(host))[::37]:
            taken = all_of_them.match(request)
            assert first_that_takes(ordered, alone, request) == (taken and taken.name)
