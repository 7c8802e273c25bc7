"""What a backend gets of a request, held to the rules that the data planes go by."""

from __future__ import annotations

import pytest

from pools.control import compile, publish
from pools.control.apply import apply
from pools.control.asked import read
from pools.control.explain import Explained, explain
from pools.control.sent import EACH_ITS_OWN

pytestmark = pytest.mark.django_db

BACKENDS = [{"host": "10.0.0.1", "port": 80}, {"host": "10.0.0.2", "port": 80}]


def site(pool=None, backends=BACKENDS, **route) -> None:
    plain = {
        "pools": [{"name": "web", "backends": backends, **(pool or {})}],
        "routes": [{"name": "all", "pool": "web", **route}],
    }
    with publish.change(who="test"):
        apply(compile.checked(plain))


def ask(*headers: str, url: str = "http://app.example.com/api/x?q=1") -> Explained:
    return explain(read(method="GET", url=url, headers=headers, client="192.0.2.9"))


def got(found: Explained) -> dict[str, tuple[str, str]]:
    return {field.name: (field.value, field.why) for field in found.fields if field.sent}


def dropped(found: Explained) -> dict[str, str]:
    return {field.name: field.why for field in found.fields if not field.sent}


def test_where_it_came_from_is_added():
    site(path_prefix="/api", prefix_mode="strip")
    found = ask("User-Agent: curl")
    assert found.sent_path == b"/x?q=1"
    assert got(found) == {
        "host": ("app.example.com", "as the client sent it"),
        "user-agent": ("curl", "as the client sent it"),
        "x-forwarded-for": ("192.0.2.9", "added"),
        "x-forwarded-proto": ("http", "added"),
        "x-forwarded-host": ("app.example.com", "added"),
        "x-forwarded-port": ("80", "added"),
        "x-forwarded-prefix": ("/api", "added"),
        "x-request-id": ("(made for each request)", "added"),
        "via": ("1.1 proxysite", "added"),
    }


def test_what_the_route_sets_and_removes():
    site(request_headers={"set": {"X-Stage": "beta"}, "remove": ["X-Debug", "Via"]})
    found = ask("X-Stage: mine", "X-Debug: 1")
    assert got(found)["x-stage"] == ("beta", "set by the route")
    assert "via" not in got(found)
    assert dropped(found) == {"x-debug": "removed by the route"}


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("Connection: X-A", "of one hop alone"),
        ("TE: trailers", "of one hop alone"),
        ("X_Under: 1", "its name has an underscore"),
        ("Forwarded: for=1.2.3.4", "not believed: its sender is not trusted"),
        ("Content-Length: 5", "written anew, by the body that comes"),
        ("Expect: 100-continue", "written anew, by the body that comes"),
        ("Cookie: proxysite_sessionid=1", "the proxy's own cookies alone were in it"),
        ("Proxy: evil", "never forwarded"),
    ],
)
def test_what_does_not_go_on_is_told_with_its_reason(typed, why):
    site()
    assert dropped(ask(typed)) == {typed.partition(":")[0].lower(): why}


def test_what_connection_names_goes_with_it():
    site()
    assert dropped(ask("Connection: x-a", "X-A: 1"))["x-a"] == "of one hop alone"


def test_a_trusted_proxy_is_believed(settings):
    settings.POOLS_TRUSTED_PROXIES = ["192.0.2.0/24"]
    site()
    found = ask("X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https")
    assert found.client == "198.51.100.7"
    assert got(found)["x-forwarded-for"] == ("198.51.100.7, 192.0.2.9", "changed on the way")
    assert got(found)["x-forwarded-proto"][0] == "https"


def test_an_upgrade_that_the_route_allows_goes_on():
    site(upgrades=["websocket"])
    found = got(ask("Connection: Upgrade", "Upgrade: websocket"))
    assert found["upgrade"] == (
        "websocket",
        "by the gateway; the view cannot switch protocols",
    )
    site(upgrades=[])
    assert dropped(ask("Connection: upgrade", "Upgrade: websocket"))["upgrade"] == (
        "of one hop alone"
    )


@pytest.mark.parametrize(
    ("mode", "backends", "value", "why"),
    [
        ({"mode": "preserve"}, BACKENDS, "app.example.com", "as the client sent it"),
        ({"mode": "fixed", "value": "b:81"}, BACKENDS, "b:81", "fixed by the pool"),
        ({"mode": "backend"}, BACKENDS, EACH_ITS_OWN, "by the pool"),
        ({"mode": "backend"}, BACKENDS[:1], "10.0.0.1", "by the pool"),
    ],
)
def test_the_host_that_backends_get(mode, backends, value, why):
    site({"host": mode}, backends)
    found = ask()
    assert got(found)["host"] == (value, why)
    wanted = {"10.0.0.1", "10.0.0.2"} if value == EACH_ITS_OWN else {value}
    assert {candidate.host for candidate in found.candidates} == wanted


def test_without_a_host_each_backend_gets_its_own():
    site()
    assert got(ask(url="/x"))["host"] == (EACH_ITS_OWN, "the request has none")


def test_a_condition_may_look_at_the_host_as_data_planes_do():
    site(conditions=[{"header": "Host", "match": "prefix", "value": "app."}])
    assert ask().taken
    assert not ask(url="http://b/").taken
