import dataclasses

import pytest

from pools.core.codec import parse
from pools.core.snapshot import compile_snapshot
from tests.core.build import snapshot


def only_route(pool=None, **route):
    plain = {"name": "r", "pool": "web", **route}
    return snapshot({"name": "web", **(pool or {})}, routes=[plain]).routes.routes[0]


@pytest.mark.parametrize(
    ("prefix", "mode", "replacement", "path", "sent"),
    [
        ("/api", "keep", "", "/api/x", "/api/x"),
        ("/api", "strip", "", "/api", "/"),
        ("/api", "strip", "", "/api/", "/"),
        ("/api", "strip", "", "/api/x", "/x"),
        ("/api", "strip", "", "/api//x", "//x"),
        ("/api", "strip", "", "/api/a%2Fb%20c", "/a%2Fb%20c"),
        ("/", "strip", "", "/x", "/x"),
        ("/", "strip", "", "/", "/"),
        ("/api", "replace", "/v2", "/api", "/v2"),
        ("/api", "replace", "/v2", "/api/", "/v2/"),
        ("/api", "replace", "/v2", "/api/x", "/v2/x"),
        ("/api", "replace", "/", "/api", "/"),
        ("/api", "replace", "/", "/api/x", "/x"),
        ("/", "replace", "/v2", "/x", "/v2/x"),
        ("/", "replace", "/v2", "/", "/v2/"),
        ("/", "strip", "", "*", "*"),
        ("/", "replace", "/v2", "*", "*"),
    ],
)
def test_rewriting_the_raw_path(prefix, mode, replacement, path, sent):
    route = only_route(path_prefix=prefix, prefix_mode=mode, prefix_replacement=replacement)
    assert route.rewrite_path(path.encode()) == sent.encode()


def test_time_outs_are_the_routes_own_or_else_the_pools():
    pool = {"connect_timeout_s": 1.0, "response_timeout_s": 2.0, "exchange_timeout_s": 3.0}
    route = only_route(pool, response_timeout_s=20.0, exchange_timeout_s=0.0)
    assert route.connect_timeout_s == 1.0
    assert route.response_timeout_s == 20.0
    assert route.exchange_timeout_s == 0.0


def test_tunnels_have_the_routes_idle_time_or_else_the_pools():
    assert only_route({"tunnel_timeout_s": 9.0}).tunnel_timeout_s == 9.0
    assert only_route({"tunnel_timeout_s": 9.0}, tunnel_timeout_s=1.0).tunnel_timeout_s == 1.0


def test_upgrades_become_bytes_and_are_those_of_websockets_unless_said_otherwise():
    assert only_route().upgrades == {b"websocket"}
    assert only_route(upgrades=["MQTT", "websocket"]).upgrades == {b"mqtt", b"websocket"}
    assert only_route(upgrades=[]).upgrades == frozenset()


def test_header_edits_become_bytes_with_lower_case_names():
    route = only_route(
        request_headers={"set": {"X-Name": "Zoë"}, "remove": ["X-Old"]},
        response_headers={"set": {"X-B": "2", "X-A": "1"}, "remove": ["Server"]},
    )
    assert route.request_set == ((b"x-name", "Zoë".encode()),)
    assert route.request_remove == {b"x-old"}
    assert route.response_set == ((b"x-b", b"2"), (b"x-a", b"1"))
    assert route.response_remove == {b"server"}


def test_backend_keys_name_pool_and_address():
    pool = {
        "name": "web",
        "backends": [
            {"host": "10.0.0.1", "port": 8000},
            {"host": "::1", "port": 80},
            {"host": "unix:/run/app.sock"},
        ],
    }
    compiled = snapshot(pool).pools["web"]
    assert [backend.key for backend in compiled.backends] == [
        "web/10.0.0.1:8000",
        "web/[::1]:80",
        "web/unix:/run/app.sock",
    ]
    assert [backend.unix for backend in compiled.backends] == ["", "", "/run/app.sock"]
    assert {backend.pool for backend in compiled.backends} == {"web"}


@pytest.mark.parametrize(
    ("backend", "host"),
    [
        ({"host": "a", "port": 8080}, b"a:8080"),
        ({"host": "a", "port": 80}, b"a"),
        ({"host": "a", "port": 443}, b"a:443"),
        ({"host": "a", "port": 443, "scheme": "https"}, b"a"),
        ({"host": "::1", "port": 80}, b"[::1]"),
        ({"host": "unix:/run/app.sock"}, b"localhost"),
        ({"host": "unix:/run/app.sock", "scheme": "https"}, b"localhost"),
    ],
)
def test_the_host_that_names_a_backend_has_no_port_that_goes_without_saying(backend, host):
    (compiled,) = snapshot({"name": "web", "backends": [backend]}).pools["web"].backends
    assert compiled.host == host


def test_max_in_flight_is_the_backends_own_or_else_the_pools():
    backends = [
        {"host": "a", "port": 80},
        {"host": "b", "port": 80, "max_in_flight": 5},
        {"host": "c", "port": 80, "max_in_flight": 0},
    ]
    compiled = snapshot({"name": "web", "max_in_flight": 9, "backends": backends}).pools["web"]
    assert [backend.max_in_flight for backend in compiled.backends] == [9, 5, 0]


def test_tokens_differ_by_secret_and_by_backend_and_are_the_same_in_each_process():
    document = parse(
        {"pools": [{"name": "web", "backends": [{"host": h, "port": 80} for h in "ab"]}]}
    )
    first, again, other = (
        compile_snapshot(document, revision=1, secret=secret).pools["web"]
        for secret in (b"one", b"one", b"two")
    )
    tokens = [backend.token for backend in first.backends]
    assert tokens == [backend.token for backend in again.backends]
    assert not set(tokens) & {backend.token for backend in other.backends}
    assert len(set(tokens)) == 2
    assert b"a:80" not in tokens[0]
    assert first.by_token[tokens[1]] is first.backends[1]


def test_a_snapshot_is_immutable():
    made = snapshot({"name": "web"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.revision = 2
    with pytest.raises(TypeError):
        made.pools["other"] = made.pools["web"]


def test_routes_share_their_pool():
    routes = [{"name": name, "pool": "web", "path_prefix": f"/{name}"} for name in "ab"]
    made = snapshot({"name": "web"}, routes=routes)
    assert {id(route.pool) for route in made.routes.routes} == {id(made.pools["web"])}
    assert made.pools["web"].name == "web"
