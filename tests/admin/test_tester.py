"""Test a request: the page says what the command says."""

from __future__ import annotations

import io
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command
from django.db import OperationalError

from pools.admin import tester
from pools.control import publish
from pools.models import Backend, Pool, Revision, Route

PAGE = "/admin/pools/route/test/"


def ask(client, /, **typed: str):
    response = client.get(PAGE, typed)
    assert response.status_code == 200
    return response


def test_the_page_asks_first_and_answers_by_its_address(client, web):
    response = client.get(PAGE)
    assert "found" not in response.context
    response = ask(client, url="http://app.example.com/api/x?q=1")
    assert response.context["found"].route.name == "api"
    text = response.content.decode()
    for part in ("web/10.0.0.1:80", "x-forwarded-for", "GET /api/x?q=1", "50 %"):
        assert part in text


def test_the_text_is_the_command_s(client, web):
    headers = "User-Agent: curl\r\nX-Debug: 1\r\nConnection: X-Debug"
    response = ask(
        client, method="POST", url="http://a/api", headers=headers, client="192.0.2.9"
    )
    out = io.StringIO()
    options = [part for line in headers.splitlines() for part in ("--header", line)]
    words = ("explain", "POST", "http://a/api", *options, "--client", "192.0.2.9")
    call_command("route", *words, stdout=out)
    assert response.context["plain"] == out.getvalue()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("method", "CONNECT", "CONNECT is never forwarded"),
        ("url", "app.example.com", "is not a URL: begin it with http://"),
        ("url", "", "This field is required."),
        ("headers", "X-A 1", "write &#x27;Name: value&#x27;"),
        ("client", "me", "does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_what_is_mistyped_is_said_at_its_field_and_stays(client, web, field, value, said):
    typed = {"method": "PUT", "url": "/x", "headers": "A: b", "client": "::1", field: value}
    response = ask(client, **typed)
    text = response.content.decode()
    assert list(response.context["form"].errors) == [field]
    assert said in text
    assert all(response.context["form"][name].value() == kept for name, kept in typed.items())


def test_what_is_nobody_s_and_what_is_the_admin_s(client, web):
    text = ask(client, url="/nowhere").content.decode()
    assert "No route takes it." in text
    assert "path /nowhere is not below /api" in text
    text = ask(client, url="/admin/").content.decode()
    assert "The admin&#x27;s own: no route is asked." in text or "The admin's own" in text


def test_changes_that_are_not_published_are_told_of(client, web):
    Route.objects.update(path_prefix="/v2")
    text = ask(client, url="/api").content.decode()
    assert "Rows were changed that are not published" in text


def test_a_pool_without_backends_is_told_of(client, web):
    with publish.change(who="test"):
        Backend.objects.all().delete()
    assert "the answer is 503" in ask(client, url="/api").content.decode()


def test_what_cannot_be_read_is_one_line(client, web, monkeypatch):
    Revision.objects.update(document={"pools": 5})
    text = ask(client, url="/api").content.decode()
    assert "The published revision cannot be read" in text

    def away(*_args, **_options):
        raise OperationalError("no such thing\nand more")

    monkeypatch.setattr(tester, "explain", away)
    text = ask(client, url="/api").content.decode()
    assert "The database did not answer: no such thing and more" in text


def test_nothing_that_is_typed_becomes_markup(client, web):
    text = ask(client, url="/api/<script>x</script>").content.decode()
    assert "<script>x" not in text


def test_routes_of_others_are_counted_alone(client, web, monkeypatch):
    Route.objects.create(name="secret", pool=web, path_prefix="/secret")
    with publish.change(who="test"):
        pass
    admin = "pools.admin.route.RouteAdmin.get_queryset"
    monkeypatch.setattr(admin, lambda self, request: Route.objects.filter(name="api"))
    text = ask(client, url="/api").content.decode()
    assert "and 1 that is not yours" in text and "secret" not in text
    text = ask(client, url="/secret").content.decode()
    assert "A route that is not yours takes it." in text
    assert "x-forwarded-for" not in text


def test_many_routes_are_told_of_as_far_as_they_came_close(client, web):
    Route.objects.bulk_create(
        Route(name=f"far{n}", pool=web, path_prefix=f"/far/{n}") for n in range(80)
    )
    Route.objects.create(name="near", pool=web)
    with publish.change(who="test"):
        pass
    response = ask(client, url="/api")
    names = [other.route.name for other, _pk in response.context["passed_over"]]
    assert names[0] == "near" and len(names) == tester.MOST
    assert "and 31 more, which are further from it" in response.content.decode()
    assert "and 31 more, which are further from it" in response.context["plain"]


def test_more_rows_cost_no_more_queries(client, web, django_assert_max_num_queries):
    pools = Pool.objects.bulk_create(Pool(name=f"p{n}") for n in range(50))
    Backend.objects.bulk_create(
        Backend(pool=pool, host=f"10.1.0.{n}", port=80) for pool in pools for n in range(9)
    )
    Route.objects.bulk_create(
        Route(name=f"r{n}", pool=pool, path_prefix=f"/r{n}") for n, pool in enumerate(pools)
    )
    with publish.change(who="test"):
        pass
    ask(client, url="/r7/x")
    with django_assert_max_num_queries(18):
        assert ask(client, url="/r7/x").context["found"].taken


def test_who_may_not_see_routes_may_not_test_them(web, viewer, django_user_model):
    assert viewer.get(PAGE, {"url": "/api"}).status_code == 200
    django_user_model.objects.get(username="vic").user_permissions.clear()
    assert viewer.get(PAGE, {"url": "/api"}).status_code == 403


def test_a_route_s_page_leads_to_a_test_that_it_passes(client, web):
    with publish.change(who="test"):
        route = Route.objects.create(
            name="canary",
            pool=web,
            hosts=["*.example.com"],
            path_prefix="/v2",
            methods=["POST"],
            conditions=[
                {"header": "X-Canary", "match": "present", "value": ""},
                {"header": "X-Old", "match": "absent", "value": ""},
            ],
        )
    link = tester.link(route)
    assert parse_qs(urlsplit(link).query)["url"] == ["http://www.example.com/v2"]
    assert client.get(link).context["found"].route.name == "canary"
    page = client.get(f"/admin/pools/route/{route.pk}/change/").content.decode()
    assert link.replace("&", "&amp;") in page
