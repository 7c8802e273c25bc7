"""Requests that wait for a place."""

from __future__ import annotations

import asyncio

import pytest

from pools.gateway.queues import Queues


class Waiter:
    """Takes a place when there is one."""

    def __init__(self, places: list[str]) -> None:
        self._places = places
        self.served = False

    def place_offered(self) -> bool:
        if not self._places:
            return False
        self._places.pop()
        self.served = True
        return True


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))


def test_who_came_first_is_served_first(loop):
    queues, places = Queues(loop), ["one"]
    waiters = [Waiter(places) for _ in range(3)]
    for waiter in waiters:
        assert queues.add("pool", waiter, most=3)
    queues.released("pool")
    turn(loop)
    assert [waiter.served for waiter in waiters] == [True, False, False]
    assert queues.length("pool") == 2


def test_queue_is_bounded(loop):
    queues = Queues(loop)
    assert queues.add("pool", Waiter([]), most=1)
    assert not queues.add("pool", Waiter([]), most=1)
    assert not queues.add("other", Waiter([]), most=0)
    assert queues.add("other", Waiter([]), most=1)


def test_place_is_not_offered_within_the_call_that_frees_it(loop):
    queues, places = Queues(loop), ["one"]
    waiter = Waiter(places)
    queues.add("pool", waiter, most=1)
    queues.released("pool")
    assert not waiter.served
    turn(loop)
    assert waiter.served
    assert not queues


def test_who_leaves_is_not_offered_a_place(loop):
    queues, places = Queues(loop), ["one"]
    first, second = Waiter(places), Waiter(places)
    queues.add("pool", first, most=2)
    queues.add("pool", second, most=2)
    queues.remove("pool", first)
    queues.remove("pool", first)
    queues.sweep()
    assert (first.served, second.served) == (False, True)
    assert not queues


def test_waiter_that_leaves_while_it_is_offered_a_place_takes_nobody_along(loop):
    queues = Queues(loop)

    class Leaving(Waiter):
        def place_offered(self) -> bool:
            queues.remove("pool", self)
            return True

    second = Waiter([])
    queues.add("pool", Leaving([]), most=2)
    queues.add("pool", second, most=2)
    queues.sweep()
    assert queues.length("pool") == 1
    assert not second.served
