"""Routes in the order in which they match: in their list, on their page, after a save."""

from __future__ import annotations

import pytest

from pools.control import figures, publish
from pools.control.figures import Figures, Rates
from pools.models import Pool, Route
from tests.admin import browser

LIST = "/admin/pools/route/"


@pytest.fixture
def routes(web) -> dict[str, Route]:
    """api takes /api of any host."""
    specs = {
        "app": {"hosts": ["app.example.com"]},
        "deep": {"hosts": ["app.example.com"], "path_prefix": "/a/b"},
        "wild": {"hosts": ["*.example.com"]},
        "off": {"enabled": False, "hosts": ["off.example.com"]},
        "twin": {"path_prefix": "/api"},
        "some": {"hosts": ["app.example.com", "other.example.com"]},
    }
    with publish.change(who="test"):
        for name, spec in specs.items():
            Route.objects.create(name=name, pool=web, **spec)
    return {route.name: route for route in Route.objects.all()}


def listed(client, **query: str) -> list[str]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return [route.name for route in response.context["cl"].result_list]


def test_the_list_is_in_the_order_in_which_routes_match(client, routes):
    assert listed(client) == ["deep", "app", "some", "off", "wild", "api", "twin"]
    assert listed(client, o="2") == sorted(routes)


def test_for_a_host_the_list_is_in_the_order_for_that_host(client, routes):
    assert listed(client, for_host="other.example.com") == ["some", "wild", "api", "twin"]
    assert listed(client, for_host="https://App.example.com:8443/x") == [
        *("deep", "app", "some", "wild", "api", "twin")
    ]
    assert listed(client, for_host="other.example.com", q="wild") == ["wild"]
    response = client.get(LIST, {"for_host": "a b", "q": "wild"})
    assert "a b is not a host" in response.content.decode()
    assert 'name="q" value="wild"' in response.content.decode()


def test_those_that_get_nothing_are_marked_and_found(client, routes):
    text = client.get(LIST).content.decode()
    assert "never taken" in text and "not on every host" in text and "disabled" in text
    assert listed(client, taken="never") == ["twin"]
    assert listed(client, taken="partly") == ["some"]
    assert f'class="pools-inline" href="{LIST}{routes["api"].pk}/change/"' in text


def test_pages_of_the_list_go_on_where_the_one_before_ended(client, web):
    Route.objects.all().delete()
    Route.objects.bulk_create(
        Route(name=f"r{n:03}", pool=web, path_prefix=f"/{'x' * (n % 3 + 1)}/{n}")
        for n in range(150)
    )
    first, second = listed(client), listed(client, p="2")
    assert (len(first), len(second)) == (100, 50)
    assert first + second == sorted(first + second)
    assert len(listed(client, all="1")) == 150


def test_actions_still_act_on_what_is_chosen(client, routes):
    browser.act(client, "route/", "delete_selected", routes["twin"], post="yes")
    assert not Route.objects.filter(name="twin").exists()
    assert Route.objects.count() == 6


def test_a_route_s_page_tells_its_place_and_its_traffic(client, routes, monkeypatch):
    rates = Rates(requests_per_s=12.34, error_share=0.005, p50_ms=3.2, p99_ms=20.0)
    monkeypatch.setattr(figures, "latest", lambda: Figures(routes={"app": rates}))

    def page(name: str) -> str:
        return client.get(f"{LIST}{routes[name].pk}/change/").content.decode()

    app = page("app")
    assert "2 of 6 enabled routes" in app
    assert "12 requests/s, 0.5 % errors, p50 3.2 ms, p99 20 ms" in app.replace("&nbsp;", " ")
    assert "none: it is disabled" in page("off")
    assert "never taken" in page("twin") and "no requests" in page("twin")
    assert f'href="{LIST}{routes["api"].pk}/change/"' in page("twin")
    assert "12.3" in client.get(LIST).content.decode()


def saved(client, url: str, **typed: str) -> list[str]:
    response = browser.send(client, url, **typed)
    assert response.status_code == 302
    return browser.messages(response)


def test_who_saves_a_shadowed_route_is_warned(client, web):
    said = saved(client, "route/add/", name="late", pool=str(web.pk), path_prefix="/api")
    assert said[1:] == ["late never gets a request: api takes all of it."]
    said = saved(
        *(client, "route/add/"),
        **{"name": "two", "pool": str(web.pk), "hosts": "a.example\nb.example"},
    )
    assert len(said) == 1
    said = saved(
        *(client, "route/add/"),
        **{"name": "zoo", "pool": str(web.pk), "hosts": "a.example\nc.example"},
    )
    assert said[1:] == ["zoo is not on every host: two takes all of a.example."]


def test_who_saves_a_route_that_shadows_another_is_warned(client, web):
    route = Route.objects.get()
    Route.objects.create(name="b", pool=web, path_prefix="/b")
    said = saved(client, f"route/{route.pk}/change/", path_prefix="/b")
    assert said[1:] == ["It takes all requests of b, which gets none."]
    said = saved(
        *(client, f"route/{route.pk}/change/"),
        conditions="X-A present\nX-A absent",
    )
    assert said[1:] == ["api never gets a request: it wants X-A both present and absent."]


def test_a_route_before_the_first_pool_leads_to_adding_that(client):
    response = client.get("/admin/pools/route/add/", follow=True)
    assert response.redirect_chain == [("/admin/pools/pool/add/", 302)]
    assert "A route leads to a pool: add the pool first." in response.content.decode()


def test_marks_of_routes_are_markup_once(client, web):
    Route.objects.create(name="a", pool=web, path_prefix="/api")
    text = client.get(LIST).content.decode()
    assert "&lt;a" not in text and "&lt;span" not in text


def test_a_pool_is_found_by_its_name_or_by_how_it_begins(client, routes):
    other = Pool.objects.create(name="webshop")
    Route.objects.create(name="shop", pool=other)
    assert listed(client, pool="webshop") == ["shop"]
    assert "shop" not in listed(client, pool="web")
    assert listed(client, pool="WEBS") == ["shop"]
    assert listed(client, pool="none") == []
