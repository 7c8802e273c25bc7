import random

import pytest

from pools.core import document
from pools.core.document import Match
from pools.core.snapshot import compile_snapshot
from tests.core.build import head, snapshot


def table(**routes):
    """Routes by name; a text stands for a path prefix."""
    plain = [
        {
            "name": name,
            "pool": "web",
            **({"path_prefix": spec} if isinstance(spec, str) else spec),
        }
        for name, spec in routes.items()
    ]
    return snapshot({"name": "web"}, routes=plain).routes


def taken(routes, request):
    route = routes.match(request)
    return route and route.name


def reasons(routes, request):
    return {passed.route.name: passed.reason for passed in routes.explain(request).passed_over}


# --- paths


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/x", "/api//x", "/api/%2e%2e"])
def test_prefix_takes_itself_and_what_is_below(path):
    assert taken(table(api="/api"), head(path=path)) == "api"


@pytest.mark.parametrize(
    "path", ["/apix", "/ap", "/API", "/", "/x/api", "//api", "/%61pi", "/api;v=1"]
)
def test_prefix_ends_on_a_segment_boundary_of_the_raw_path(path):
    assert taken(table(api="/api"), head(path=path)) is None


def test_longest_prefix_wins():
    routes = table(root="/", a="/a", deep="/a/b/c")
    wanted = {"/": "root", "/a/b": "a", "/a/b/c": "deep", "/a/b/c/d/e": "deep", "/ab": "root"}
    assert {path: taken(routes, head(path=path)) for path in wanted} == wanted


def test_empty_segments_count():
    routes = table(a="/a", empty="/a//b")
    assert taken(routes, head(path="/a//b/c")) == "empty"
    assert taken(routes, head(path="/a/b")) == "a"


@pytest.mark.parametrize("path", ["*", "", "x/api"])
def test_a_target_that_is_no_path_is_below_the_root_alone(path):
    assert taken(table(root="/", api="/api"), head("OPTIONS", path)) == "root"
    assert taken(table(api="/api"), head("OPTIONS", path)) is None


# --- hosts


HOSTS = {
    "exact": {"hosts": ["app.example.com"]},
    "near": {"hosts": ["*.app.example.com"]},
    "far": {"hosts": ["*.example.com"]},
    "any": {},
}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("app.example.com", "exact"),
        ("x.app.example.com", "near"),
        ("x.y.app.example.com", "near"),
        ("other.example.com", "far"),
        ("example.com", "any"),
        ("xexample.com", "any"),
        ("", "any"),
        ("[::1]", "any"),
    ],
)
def test_exact_host_then_longest_wildcard_then_any(host, name):
    assert taken(table(**HOSTS), head(host=host)) == name


def test_host_without_a_matching_path_falls_through():
    routes = table(
        exact={"hosts": ["app.example.com"], "path_prefix": "/exact"},
        wild={"hosts": ["*.example.com"], "path_prefix": "/wild"},
        any="/any",
    )
    for path in ("exact", "wild", "any"):
        assert taken(routes, head(path=f"/{path}", host="app.example.com")) == path


def test_a_close_host_comes_before_a_long_prefix():
    routes = table(exact={"hosts": ["a.example"]}, any="/very/long/prefix")
    assert taken(routes, head(path="/very/long/prefix", host="a.example")) == "exact"


def test_one_route_serves_many_hosts():
    routes = table(many={"hosts": ["a.example", "*.b.example", "[::1]"]})
    for host in ("a.example", "x.b.example", "[::1]"):
        assert taken(routes, head(host=host)) == "many"
    assert taken(routes, head(host="b.example")) is None


def test_a_host_longer_than_names_can_be_fits_no_wildcard():
    routes = table(wild={"hosts": ["*.example.com"]})
    long = "a." * 5_000 + "example.com"
    assert taken(routes, head(host=long)) is None
    assert "is not *.example.com" in reasons(routes, head(host=long))["wild"]


# --- methods and conditions


def test_methods_narrow_and_count_as_one_condition():
    routes = table(any="/", write={"methods": ["POST", "put"]})
    assert taken(routes, head("POST")) == "write"
    assert taken(routes, head("PUT")) == "write"
    assert taken(routes, head("GET")) == "any"
    assert taken(routes, head("put")) == "any"


@pytest.mark.parametrize(
    ("match", "value", "held", "missed"),
    [
        (Match.EQUALS, "yes", [[b"yes"], [b"no", b"yes"]], [[b"yess"], [b"Yes"], []]),
        (Match.PREFIX, "ye", [[b"yes"], [b"no", b"ye"]], [[b"no ye"], []]),
        (Match.CONTAINS, "es", [[b"yes"], [b"no", b"es"]], [[b"y"], []]),
        (Match.PRESENT, "", [[b""], [b"x"]], [[]]),
        (Match.ABSENT, "", [[]], [[b""], [b"x"]]),
    ],
)
def test_conditions_on_headers(match, value, held, missed):
    condition = {"header": "X-Flag", "match": match.value, "value": value}
    routes = table(flagged={"conditions": [condition]})
    for values, wanted in [(v, "flagged") for v in held] + [(v, None) for v in missed]:
        headers = [(b"accept", b"yes"), *((b"x-flag", value) for value in values)]
        assert taken(routes, head(headers=headers)) == wanted


def test_text_beyond_ascii_is_compared_as_utf_8():
    routes = table(name={"conditions": [{"header": "x-name", "value": "Zoë"}]})
    assert taken(routes, head(headers=[(b"x-name", "Zoë".encode())])) == "name"


def test_more_conditions_win_and_a_longer_prefix_beats_them():
    one = {"header": "x-a", "match": "present"}
    two = {"header": "x-b", "match": "present"}
    routes = table(
        plain="/a",
        first={"path_prefix": "/a", "conditions": [one]},
        both={"path_prefix": "/a", "conditions": [one, two]},
        deep="/a/b",
    )
    a, b = (b"x-a", b"1"), (b"x-b", b"1")
    assert taken(routes, head(path="/a", headers=[a, b])) == "both"
    assert taken(routes, head(path="/a", headers=[a])) == "first"
    assert taken(routes, head(path="/a", headers=[b])) == "plain"
    assert taken(routes, head(path="/a/b", headers=[a, b])) == "deep"


def test_equals_are_told_apart_by_name_whatever_their_order():
    for order in (["b", "a", "c"], ["c", "b", "a"]):
        assert taken(table(**dict.fromkeys(order, "/")), head()) == "a"


def test_disabled_route_never_matches():
    routes = table(off={"path_prefix": "/a", "enabled": False}, on="/")
    assert taken(routes, head(path="/a")) == "on"


# --- explaining


def test_each_route_passed_over_has_its_reason():
    routes = table(
        best={"hosts": ["app.example.com"], "path_prefix": "/a", "methods": ["GET"]},
        off={"enabled": False},
        elsewhere={"hosts": ["b.example", "*.c.example"]},
        below="/a/b",
        write={"methods": ["POST", "PUT"]},
        flagged={"conditions": [{"header": "X-Flag", "value": "1"}]},
        fewer={"hosts": ["app.example.com"], "path_prefix": "/a"},
        shorter={"hosts": ["app.example.com"]},
        wild={"hosts": ["*.example.com"], "path_prefix": "/a"},
        any="/a",
        twin={"hosts": ["app.example.com"], "path_prefix": "/a", "methods": ["GET", "HEAD"]},
    )
    explanation = routes.explain(head(path="/a", host="app.example.com"))
    assert explanation.taken is not None and explanation.taken.name == "best"
    closest = [passed.route.name for passed in explanation.closest(7)]
    assert closest == ["twin", "fewer", "shorter", "wild", "any", "flagged", "write"]
    found = [(passed.route.name, passed.reason) for passed in explanation.passed_over]
    assert found == [
        ("twin", "as specific as best, whose name comes first"),
        ("fewer", "less specific than best by its conditions: 0, not 1"),
        ("shorter", "less specific than best by its prefix /, not /a"),
        ("wild", "less specific than best by its host *.example.com, not app.example.com"),
        ("below", "path /a is not below /a/b"),
        ("any", "less specific than best by its host (any), not app.example.com"),
        ("flagged", "header X-Flag is not '1'"),
        ("write", "method GET is not POST or PUT"),
        ("off", "it is disabled"),
        ("elsewhere", "host app.example.com is not b.example or *.c.example"),
    ]


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ("equals", "header x-a is not 'v'"),
        ("prefix", "header x-a does not begin with 'v'"),
        ("contains", "header x-a does not contain 'v'"),
        ("present", "header x-a is absent"),
        ("absent", "header x-b is present"),
    ],
)
def test_the_unmet_condition_is_named(match, reason):
    met = {"header": "x-b", "match": "present"}
    header = "x-b" if match == "absent" else "x-a"
    value = "v" if match in ("equals", "prefix", "contains") else ""
    unmet = {"header": header, "match": match, "value": value}
    routes = table(r={"conditions": [met, unmet]})
    assert reasons(routes, head(headers=[(b"x-b", b"")])) == {"r": reason}


def test_explanation_of_a_request_without_host_or_route():
    explanation = table(r={"hosts": ["a.example"]}).explain(head(host=""))
    assert explanation.taken is None
    assert [p.reason for p in explanation.passed_over] == ["host (none) is not a.example"]


def test_a_path_with_strange_bytes_can_be_shown():
    request = head()
    request.path = b"/\xff"
    assert reasons(table(api="/api"), request) == {"api": r"path /\xff is not below /api"}


# --- against a naive reference


SEGMENTS = ["a", "b", "ab", "", "a%2Fb"]
ROUTE_HOSTS = ["x", "a.x", "b.a.x", "*.x", "*.a.x", "[::1]"]
REQUEST_HOSTS = ["x", "a.x", "b.a.x", "c.b.a.x", "y", "ax", "", "[::1]"]
METHODS = ["GET", "POST"]
HEADERS = [(b"h", b"1"), (b"h", b"12"), (b"g", b"")]


def random_route(chance, name):
    prefix = "/" + "/".join(chance.choices(SEGMENTS, k=chance.randrange(4)))
    return document.Route(
        name=name,
        pool="web",
        enabled=chance.random() < 0.9,
        hosts=tuple(chance.sample(ROUTE_HOSTS, chance.choice([0, 0, 1, 2]))),
        path_prefix=prefix.rstrip("/") or "/",
        methods=tuple(chance.sample(METHODS, chance.choice([0, 0, 1, 2]))),
        conditions=tuple(
            document.Condition(header="H", match=chance.choice(list(Match)), value="1")
            for _ in range(chance.choice([0, 0, 0, 1, 2]))
        ),
    )


def random_head(chance):
    path = "/" + "/".join(chance.choices(SEGMENTS, k=chance.randrange(5)))
    return head(
        chance.choice(METHODS),
        path,
        host=chance.choice(REQUEST_HOSTS),
        headers=chance.sample(HEADERS, chance.randrange(3)),
    )


def naive(routes, request):
    """The rules one by one over all routes: slow, and plain to see."""
    path = request.path.decode()
    best = None
    for route in routes:
        hosts = [
            (2 if host == request.host else 1, len(host))
            for host in route.hosts
            if host == request.host or (host[0] == "*" and request.host.endswith(host[1:]))
        ]
        if not route.hosts:
            hosts = [(0, 0)]
        prefix = route.path_prefix.rstrip("/")
        values = [value.decode() for name, value in request.headers if name == b"h"]
        tests = {
            Match.EQUALS: "1" in values,
            Match.PREFIX: any(value.startswith("1") for value in values),
            Match.CONTAINS: any("1" in value for value in values),
            Match.PRESENT: bool(values),
            Match.ABSENT: not values,
        }
        holds = (
            route.enabled
            and hosts
            and (path + "/").startswith(prefix + "/")
            and (not route.methods or request.method.decode() in route.methods)
            and all(tests[condition.match] for condition in route.conditions)
        )
        if holds:
            conditions = len(route.conditions) + (1 if route.methods else 0)
            rank = (max(hosts), prefix.count("/"), conditions)
            if best is None or rank > best[0] or (rank == best[0] and route.name < best[1]):
                best = (rank, route.name)
    return best and best[1]


def test_routing_equals_a_naive_reference_for_10000_random_tables():
    chance = random.Random(20)
    pools = (document.Pool(name="web"),)
    matched = 0
    for number in range(10_000):
        routes = [random_route(chance, f"r{index}") for index in range(chance.randrange(9))]
        chance.shuffle(routes)
        made = document.Document(pools=pools, routes=tuple(routes))
        compiled = compile_snapshot(made, revision=1, secret=b"").routes
        for _ in range(3):
            request = random_head(chance)
            wanted = naive(routes, request)
            matched += wanted is not None
            assert taken(compiled, request) == wanted, (routes, request)
        if number % 10 == 0:
            check_explanation(compiled, request)
    assert matched > 5_000  # the tables were not so odd that nothing ever fitted


def check_explanation(routes, request):
    """It says what match does, and tells of each other route once."""
    explanation = routes.explain(request)
    assert explanation.taken is routes.match(request)
    told = [passed.route for passed in explanation.passed_over]
    told += [explanation.taken] if explanation.taken else []
    assert sorted(told, key=lambda route: route.name) == sorted(
        routes.routes, key=lambda route: route.name
    )
    assert all(passed.reason for passed in explanation.passed_over)
