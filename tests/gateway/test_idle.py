"""Connections to backends that wait."""

from __future__ import annotations

import pytest

from pools.gateway.idle import IdleConnections


class Upstream:
    def __init__(self, key: str, until: float = 10.0) -> None:
        self.key = key
        self.idle_until = until
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def idle():
    return IdleConnections()


def test_the_one_used_last_is_used_first(idle):
    first, second = Upstream("a"), Upstream("a")
    for upstream in (first, second):
        idle.put(upstream, most=2)
    assert [idle.take("a"), idle.take("a"), idle.take("a")] == [second, first, None]
    assert idle.count == 0


def test_keys_are_apart(idle):
    idle.put(Upstream("a"), most=2)
    assert idle.take("b") is None


def test_one_too_many_closes_the_one_idle_longest(idle):
    held = [Upstream("a") for _ in range(3)]
    for upstream in held:
        idle.put(upstream, most=2)
    assert [upstream.closed for upstream in held] == [True, False, False]
    assert idle.count == 2


def test_sweep_closes_what_waited_for_its_time_wherever_it_stands(idle):
    late, early = Upstream("a", until=20.0), Upstream("a", until=5.0)
    idle.put(late, most=2)
    idle.put(early, most=2)
    idle.sweep(10.0)
    assert (late.closed, early.closed, idle.count) == (False, True, 1)
    idle.sweep(20.0)
    assert late.closed
    assert idle.take("a") is None


def test_one_that_ended_is_forgotten(idle):
    gone, kept = Upstream("a"), Upstream("a")
    idle.put(gone, most=2)
    idle.put(kept, most=2)
    idle.remove(gone)
    idle.remove(gone)
    idle.remove(Upstream("b"))
    assert [idle.take("a"), idle.take("a")] == [kept, None]


def test_clear_closes_all(idle):
    held = [Upstream("a"), Upstream("b")]
    for upstream in held:
        idle.put(upstream, most=2)
    idle.clear()
    assert all(upstream.closed for upstream in held)
    assert idle.count == 0
