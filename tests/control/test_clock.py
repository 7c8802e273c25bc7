"""clock: whose time it is, and what a clock that was set does to ages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from pools.control import clock

T = datetime(2030, 1, 1, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def seen(*looks: tuple[float, float]) -> clock.Jumps:
    """Looks, each the clock's and the monotonic seconds."""
    jumps = clock.Jumps()
    for told, monotonic in looks:
        jumps.look(T + seconds(told), monotonic, monotonic)
    return jumps


@pytest.mark.django_db
def test_it_is_the_database_s():
    before = timezone.now()
    assert before <= clock.now() <= timezone.now()


def test_without_a_jump_age_is_what_passed():
    jumps = seen((0, 50), (5, 55), (10, 60))
    assert jumps.age(T + seconds(4), T + seconds(10)) == seconds(6)


def test_a_small_step_is_no_jump():
    assert seen((0, 50)).look(T + seconds(6), 55, 55) == seconds(0)


@pytest.mark.parametrize("hours", [1, 24, -1, -24])
def test_an_hour_that_did_not_pass_is_no_age(hours):
    jumps = seen((0, 50), (5, 55))
    after = T + timedelta(hours=hours) + seconds(10)
    assert jumps.look(after, 60, 60) == timedelta(hours=hours)
    assert jumps.age(T + seconds(4), after) == seconds(6)
    assert jumps.age(after - seconds(1), after) == seconds(1)
    assert jumps.look(after + seconds(5), 65, 65) == seconds(0)
    assert jumps.age(T + seconds(4), after + seconds(5)) == seconds(11)


def test_what_is_of_a_moment_to_come_is_new():
    assert seen((0, 50)).age(T + seconds(9), T) == seconds(0)


def test_a_look_that_took_long_tells_nothing():
    jumps = seen((0, 50))
    assert jumps.look(T + seconds(5), 55, 65) == seconds(0)
    assert jumps.look(T + seconds(20), 70, 70) == seconds(0)
    assert jumps.age(T, T + seconds(20)) == seconds(20)
