"""Routing rules in the admin."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pools.control import compile
from pools.core import codec, document
from pools.models import Pool, Revision, Route
from tests.admin import browser


def test_a_rule_is_saved_with_its_lists_typed_one_a_line(client, web):
    response = browser.send(
        client,
        "route/add/",
        name="shop",
        pool=str(web.pk),
        path_prefix="/shop/",
        hosts="Shop.example.com\n\n*.example.com\n",
        methods="get\npost",
        conditions="X-Version equals 2\nX-Beta present",
        request_headers_set="X-Stage: beta: 2\nX-Empty:",
        response_headers_remove="Server",
    )
    assert response.status_code == 302
    route = Route.objects.get(name="shop")
    assert route.path_prefix == "/shop"
    assert route.hosts == ["shop.example.com", "*.example.com"]
    assert route.methods == ["GET", "POST"]
    assert route.conditions == [
        {"header": "X-Version", "match": "equals", "value": "2"},
        {"header": "X-Beta", "match": "present", "value": ""},
    ]
    assert route.request_headers_set == {"X-Stage": "beta: 2", "X-Empty": ""}
    assert route.response_headers_remove == ["Server"]
    assert Revision.objects.latest().why == "Added routing rule shop"


def test_a_new_rule_lets_websockets_through_unless_they_are_taken_out(client, web):
    asked = {"pool": str(web.pk)}
    browser.send(client, "route/add/", name="as-it-comes", path_prefix="/a", **asked)
    browser.send(client, "route/add/", name="none", path_prefix="/b", upgrades="", **asked)
    found = dict(Route.objects.values_list("name", "upgrades"))
    assert (found["as-it-comes"], found["none"]) == (["websocket"], [])


def test_an_untouched_form_keeps_every_value(client, web):
    plain = {
        "name": "api",
        "pool": "web",
        "enabled": False,
        "hosts": ["a.example.com", "*.b.example.com", "[::1]"],
        "path_prefix": "/api/v1",
        "methods": ["GET", "PURGE"],
        "conditions": [
            {"header": "X-A", "match": "equals", "value": "one  two"},
            {"header": "X-B", "match": "contains", "value": "one\x85and\u2028more"},
            {"header": "X-C", "match": "absent"},
        ],
        "prefix_mode": "replace",
        "prefix_replacement": "/v1",
        "request_headers": {"set": {"X-D": "a: b", "X-E": ""}, "remove": ["X-F"]},
        "response_headers": {"set": {"X-G": '<i>"quoted"</i>'}, "remove": ["Server"]},
        "max_body_bytes": 10_000_000_000,
        "connect_timeout_s": 0.5,
        "response_timeout_s": None,
        "exchange_timeout_s": 0.0,
        "tunnel_timeout_s": 90.0,
        "upgrades": ["websocket", "mqtt"],
    }
    route = Route.objects.get()
    route.assign(codec.parse_part(document.Route, plain))
    route.save()
    before = compile.document()
    assert browser.send(client, f"route/{route.pk}/change/").status_code == 302
    assert compile.document() == before


@pytest.mark.parametrize("prefix", ["/admin", "/admin/pools"])
def test_a_prefix_of_the_admin_is_refused_at_the_prefix(client, web, prefix):
    response = browser.send(
        client, "route/add/", name="mine", pool=str(web.pk), path_prefix=prefix
    )
    found = browser.errors(response)
    assert list(found) == ["path_prefix"]
    assert "is the admin's own" in found["path_prefix"][0]
    assert not Route.objects.filter(name="mine").exists()


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("hosts", "good.example.com\nhttp://bad", "line 2: 'http://bad' is not a host name"),
        ("hosts", "*", "line 1: for any host leave the list of hosts empty"),
        ("methods", "GET\nCONNECT", "line 2: CONNECT is never forwarded"),
        ("conditions", "X-B present\nX-A is 2", "line 2: 'is' is not a test"),
        ("upgrades", "websocket\nh2c", "line 2: h2c is HTTP, which would pass by all routes"),
        ("request_headers_set", "X-A 2", "line 1: 'X-A 2' has no colon"),
        ("request_headers_set", "X-A: 1\nx-a: 2", "x-a is set twice"),
        ("response_headers_set", "Connection: close", "line 1: Connection is set by the proxy"),
        ("response_headers_remove", "a b", "line 1: 'a b' is not a name on the wire"),
        ("prefix_mode", "replace", "needs the prefix"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_comes_back_as_typed(
    client, web, field, typed, said
):
    route = Route.objects.get()
    response = browser.send(
        client, f"route/{route.pk}/change/", **{field: typed, "name": "new"}
    )
    found = browser.errors(response)
    where = "prefix_replacement" if field == "prefix_mode" else field
    assert list(found) == [where]
    assert said in found[where][0]
    back = browser.read(response)
    assert back[field] == [typed.replace("\n", "\r\n")]
    assert back["name"] == ["new"]
    assert not Route.objects.filter(name="new").exists()


def test_rules_are_found_by_name_host_prefix_and_pool(client, web):
    Route.objects.create(name="shop", pool=web, hosts=["shop.example.com"], path_prefix="/s")
    for query, names in {
        "shop.ex": ["shop"],
        "/api": ["api"],
        "web": ["shop", "api"],  # as they match
        "nothing": [],
    }.items():
        response = client.get("/admin/pools/route/", {"q": query})
        assert [row.name for row in response.context["cl"].result_list] == names


def test_more_rules_cost_the_list_no_more_queries(client, web):
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get("/admin/pools/route/").status_code == 200
        return len(found)

    client.get("/admin/pools/route/")
    before = queries()
    for number in range(10):
        pool = Pool.objects.create(name=f"more{number}")
        Route.objects.create(name=f"more{number}", pool=pool, path_prefix=f"/{number}")
    assert queries() == before
