"""Routes as rows, in order."""

from __future__ import annotations

import pytest

from pools.control import route_table
from pools.control.route_list import lines, shadow_text
from pools.core.precedence import Shadow
from pools.models import Pool, Route

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(db) -> Pool:
    return Pool.objects.create(name="web")


def made(pool: Pool, name: str, **values) -> Route:
    return Route.objects.create(name=name, pool=pool, **values)


def test_a_table_of_the_rows_as_they_are(web, django_assert_num_queries):
    deep, root = made(web, "deep", path_prefix="/a/b"), made(web, "root")
    off = made(web, "off", path_prefix="/a/b/c", enabled=False)
    with django_assert_num_queries(1):
        table = route_table.read()
    assert table.ids == (off.pk, deep.pk, root.pk)
    assert table.places == {deep.pk: 1, root.pk: 2}
    assert table.shadows == {}


def test_it_follows_each_change_of_a_row(web):
    first, second = made(web, "a"), made(web, "b", path_prefix="/b")
    assert route_table.read() is route_table.read()
    Route.objects.filter(pk=second.pk).update(path_prefix="/")  # past all signals
    table = route_table.read()
    assert table.shadows == {second.pk: Shadow(by=(("", "a"),))}
    assert table.shadowed_by("a") == ["b"]
    assert table.shadowed_by("b") == []
    first.delete()
    assert route_table.read().shadows == {}


@pytest.mark.parametrize(
    "bad", [{"conditions": [{"no": 1}]}, {"conditions": 5}, {"hosts": [{}]}]
)
def test_a_row_that_does_not_hold_stands_in_nobody_s_way(web, bad):
    broken, whole = made(web, "a"), made(web, "b")
    Route.objects.filter(pk=broken.pk).update(**bad)
    table = route_table.read()
    assert set(table.ids) == {broken.pk, whole.pk}
    assert table.places == {whole.pk: 1}
    assert table.shadows == {}


def test_for_a_host_those_alone_that_requests_to_it_may_go_to(web):
    made(web, "other", hosts=["b.example"])
    wild, exact = (
        made(web, "wild", hosts=["*.example"]),
        made(web, "exact", hosts=["a.example"]),
    )
    assert route_table.read().for_host("a.example") == [exact.pk, wild.pk]
    assert [line.place for line in lines("a.example")] == [1, 3]


@pytest.mark.parametrize(
    ("shadow", "text"),
    [
        (Shadow(by=(("", "a"),)), "never taken: a takes all of it"),
        (Shadow(by=(("x", "a"), ("y", "b"))), "never taken: a and b take all of it"),
        (
            Shadow(by=(("x", "a"), ("y", "b"), ("z", "c")), whole=False),
            "not on every host: a takes all of x, b takes all of y and c takes all of z",
        ),
        (Shadow(never="X-A"), "never taken: it wants X-A present and absent"),
    ],
)
def test_a_shadow_in_words(shadow, text):
    assert shadow_text(shadow) == text
