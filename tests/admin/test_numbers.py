"""Figures as people read them."""

from __future__ import annotations

import pytest
from django.utils import translation

from pools.admin import numbers


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((0.0, "0"), (0.049, "0.05"), (0.5, "0.50"), (7.46, "7.5"), (99.94, "99.9")),
        *((321.9, "322"), (1234.5, "1,234"), (1_000_000.0, "1,000,000")),
    ],
)
def test_a_rate_is_as_precise_as_it_is_small(value, shown):
    assert numbers.rate(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.0042, "0.42 %"), (0.0123, "1.2 %")),
        *((0.00001, "< 0.01 %"), (0.99999, "99.99 %"), (0.9993, "99.93 %")),
    ],
)
def test_a_share_is_none_or_all_only_where_it_is_that(value, shown):
    assert numbers.share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (3.44, "3.4"), (120.4, "120"), (1500.0, "1,500")]
)
def test_milliseconds_are_whole_from_ten_on(value, shown):
    assert numbers.ms(value) == shown


def test_numbers_are_written_as_the_language_writes_them():
    with translation.override("de"):
        assert numbers.whole(12345) == "12.345"
        assert numbers.ms(3.44) == "3,4"
