"""rows: many at once, each with its own values."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pools.control.rows import update_many
from pools.models import Backend, BackendHealth, Pool

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def rows():
    pool = Pool.objects.create(name="web")
    for port in range(1, 4):
        backend = Backend.objects.create(pool=pool, host="a", port=port)
        BackendHealth.objects.create(backend=backend, reason="before")
    return list(BackendHealth.objects.order_by("pk"))


def test_each_row_gets_its_own_values_and_no_other_field_is_written(rows):
    for index, row in enumerate(rows):
        row.verdict, row.since = "up", NOW + timedelta(seconds=index)
        row.code, row.reason = (200 if index else None), "not to be written"
    update_many(rows, ("verdict", "since", "code"))
    assert list(
        BackendHealth.objects.order_by("pk").values_list("verdict", "since", "code", "reason")
    ) == [
        ("up", NOW + timedelta(seconds=index), 200 if index else None, "before")
        for index in range(3)
    ]


def test_one_statement_for_all(rows, django_assert_num_queries):
    with django_assert_num_queries(1):
        update_many(rows, ("reason",))
    with django_assert_num_queries(0):
        update_many([], ("reason",))


def test_what_is_gone_is_not_made_anew(rows):
    BackendHealth.objects.filter(pk=rows[0].pk).delete()
    update_many(rows, ("reason",))
    assert BackendHealth.objects.count() == 2
