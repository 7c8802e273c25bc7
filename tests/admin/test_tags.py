"""Tags: typed in one line, kept in the document, filtered by."""

from __future__ import annotations

import pytest

from pools.control import compile, diff
from pools.models import Pool, Revision, Route
from tests.admin import browser


@pytest.mark.parametrize("typed", ["shop eu-west", " EU-West,shop ,\tshop"])
def test_tags_are_words_with_spaces_or_commas_between(client, web, typed):
    response = browser.send(client, f"pool/{web.pk}/change/", tags=typed)
    assert response.status_code == 302
    pool = next(pool for pool in compile.document().pools if pool.name == "web")
    assert pool.tags == ("eu-west", "shop")
    assert Revision.objects.latest().why == "Changed pool web: tags"


def test_the_same_tags_in_another_order_are_no_change(client, web):
    browser.send(client, f"pool/{web.pk}/change/", tags="shop eu")
    browser.send(client, f"pool/{web.pk}/change/", tags="eu, shop")
    assert Revision.objects.count() == 2


def test_a_tag_that_does_not_hold_is_said_at_its_field_and_stays_typed(client, web):
    response = browser.send(client, f"pool/{web.pk}/change/", tags="shop ü")
    (said,) = browser.errors(response)["tags"]
    assert said.startswith("'ü' is not a tag: use 1 to 32 lower case letters")
    assert browser.read(response)["tags"] == ["shop ü"]


def test_a_route_has_tags_and_a_diff_names_them(client, web):
    before = compile.document()
    route = Route.objects.get()
    browser.send(client, f"route/{route.pk}/change/", tags="public")
    (change,) = diff.diff(before, compile.document())
    assert str(change) == '~ routes[api].tags: [] -> ["public"]'


@pytest.mark.parametrize("model", [Pool, Route])
def test_lists_are_filtered_by_tag(client, web, model):
    rows = {"pool": Pool.objects.get(name="web"), "route": Route.objects.get()}
    row = rows[model._meta.model_name]
    model.objects.filter(pk=row.pk).update(tags=["eu", "web_1"])
    url = f"/admin/pools/{model._meta.model_name}/"

    def found(tag: str) -> list[str]:
        return [str(one) for one in client.get(f"{url}?tag={tag}").context["cl"].result_list]

    assert found("eu") == found("web_1") == [str(row)]
    assert found("e") == found("webx1") == []
    assert 'href="?tag=web_1"' in client.get(url).content.decode()
