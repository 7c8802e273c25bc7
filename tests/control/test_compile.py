"""compile and apply: rows and documents are two forms of one thing."""

from __future__ import annotations

import copy
import random

import pytest

from pools.control import compile
from pools.control.apply import apply
from pools.core import codec
from pools.core.errors import DocumentError
from pools.models import Backend, BackendHealth, Pool, Route
from tests.control.site import FULL

pytestmark = pytest.mark.django_db


def shuffled(plain: object, chance: random.Random) -> object:
    if isinstance(plain, dict):
        items = [(key, shuffled(value, chance)) for key, value in plain.items()]
        chance.shuffle(items)
        return dict(items)
    if isinstance(plain, list):
        items = [shuffled(item, chance) for item in plain]
        chance.shuffle(items)
        return items
    return plain


def test_applying_then_compiling_is_the_identity():
    document = compile.checked(FULL)
    apply(document)
    assert compile.document() == document
    apply(compile.document())
    assert compile.document() == document


def test_applying_replaces_all_that_was_there():
    apply(compile.checked(FULL))
    other = compile.checked({"pools": [{"name": "web"}], "routes": []})
    apply(other)
    assert compile.document() == other
    apply(compile.checked({"pools": []}))
    assert not Pool.objects.exists()


@pytest.mark.parametrize("seed", range(10))
def test_order_says_nothing(seed):
    mixed = shuffled(copy.deepcopy(FULL), random.Random(seed))
    assert compile.checked(mixed) == compile.checked(FULL)


def test_what_stays_keeps_its_row_and_health():
    apply(compile.checked(FULL))
    kept = Backend.objects.get(host="10.0.0.1")
    BackendHealth.objects.create(backend=kept, verdict="up")
    before = {row.name: row.pk for row in [*Pool.objects.all(), *Route.objects.all()]}
    changed = copy.deepcopy(FULL)
    changed["pools"][0]["backends"][2]["weight"] = 7
    del changed["pools"][0]["backends"][0]
    apply(compile.checked(changed))
    row = Backend.objects.get(host="10.0.0.1")
    assert (row.pk, row.weight, row.health.verdict) == (kept.pk, 7, "up")
    assert not Backend.objects.filter(host="::1").exists()
    assert before == {row.name: row.pk for row in [*Pool.objects.all(), *Route.objects.all()]}


def test_what_is_the_same_is_not_written(django_assert_num_queries):
    document = compile.checked(FULL)
    apply(document)
    with django_assert_num_queries(5) as done:  # a savepoint's two, and a look at each model
        apply(document)
    assert not [query for query in done if query["sql"].startswith(("UPDATE", "INSERT"))]


def test_a_route_moves_to_another_pool_and_its_old_one_goes():
    apply(compile.checked({"pools": [{"name": "a"}], "routes": [{"name": "r", "pool": "a"}]}))
    moved = compile.checked({"pools": [{"name": "b"}], "routes": [{"name": "r", "pool": "b"}]})
    apply(moved)
    assert compile.document() == moved


def test_the_number_of_queries_does_not_grow_with_the_rows(django_assert_num_queries):
    names = [f"p{index}" for index in range(50)]
    pools = [{"name": name, "backends": [{"host": name, "port": 80}]} for name in names]
    routes = [{"name": name, "pool": name} for name in names]
    apply(compile.checked({"pools": pools, "routes": routes}))
    with django_assert_num_queries(3):
        assert len(compile.document().routes) == 50


def test_problems_of_rows_are_named_and_all_there():
    apply(compile.checked(FULL))
    Backend.objects.filter(host="::1").update(weight=999)
    Backend.objects.filter(port=0).update(port=80)
    Pool.objects.filter(name="empty").update(name="em pty")
    Route.objects.filter(name="api").update(max_body_bytes=-1)
    with pytest.raises(DocumentError) as caught:
        compile.document()
    assert [problem.where for problem in caught.value.problems] == [
        "pools[em pty].name",
        "pools[web].backends[[::1]:443].weight",
        "pools[web].backends[unix:/run/app.sock].port",
        "routes[api].max_body_bytes",
    ]


def test_values_survive_the_database_as_they_are():
    apply(compile.checked(FULL))
    plain = codec.to_plain(compile.document())
    assert plain["pools"][1]["probe"]["text"] == 'it\'s "up": ü\n'
    assert plain["pools"][1]["probe"]["headers"] == {"X-A": "1", "X-B": "yes"}
    assert plain["pools"][1]["probe"]["send"] == r"PING\r\n"
    assert plain["routes"][1]["request_headers"]["set"] == {"X-A": "1", "X-B": "yes"}
    assert plain["routes"][1]["exchange_timeout_s"] == 0
