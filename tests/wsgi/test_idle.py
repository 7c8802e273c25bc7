import os
import socket
from collections.abc import Iterator

import pytest

from pools.wsgi import idle
from pools.wsgi.connection import Connection
from pools.wsgi.idle import IdleConnections
from tests.core.build import Clock

IDLE_S = 4.0


def put(kept: IdleConnections, key: str, connection: Connection, **limits: float) -> None:
    kept.put(key, connection, **{"most": 64, "idle_s": IDLE_S, **limits})


class Ends:
    """Makes connections, and keeps their other ends."""

    def __init__(self) -> None:
        self.others: dict[Connection, socket.socket] = {}

    def __call__(self) -> Connection:
        ours, theirs = socket.socketpair()
        connection = Connection(ours)
        self.others[connection] = theirs
        return connection

    def is_open(self, connection: Connection) -> bool:
        return connection.fileno() >= 0


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    for ours, theirs in ends.others.items():
        ours.close()
        theirs.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock) -> IdleConnections:
    return IdleConnections(clock)


def test_the_latest_is_used_first(kept, ends):
    first, second = ends(), ends()
    put(kept, "a", first)
    put(kept, "a", second)
    assert [kept.take("a"), kept.take("a"), kept.take("a")] == [second, first, None]


def test_keys_are_apart(kept, ends):
    put(kept, "a", ends())
    assert kept.take("b") is None


def test_what_closed_meanwhile_is_not_given(kept, ends):
    connection = ends()
    put(kept, "a", connection)
    ends.others[connection].close()
    assert kept.take("a") is None
    assert not ends.is_open(connection)


def test_what_spoke_unasked_is_not_given(kept, ends):
    connection = ends()
    put(kept, "a", connection)
    ends.others[connection].send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert kept.take("a") is None


def test_what_waited_too_long_is_not_given(kept, ends, clock):
    connection = ends()
    put(kept, "a", connection)
    clock.advance(IDLE_S)
    assert kept.take("a") is None
    assert not ends.is_open(connection)


def test_number_for_a_key_is_bounded(kept, ends):
    oldest, *newer = made = [ends() for _ in range(3)]
    for connection in made:
        put(kept, "a", connection, most=2)
    assert not ends.is_open(oldest)
    assert [kept.take("a"), kept.take("a")] == newer[::-1]


@pytest.mark.parametrize("limits", [{"most": 0}, {"idle_s": 0.0}])
def test_what_may_not_wait_is_closed_at_once(kept, ends, limits):
    young, unwanted = ends(), ends()
    put(kept, "a", young)
    put(kept, "a", unwanted, **limits)
    assert not ends.is_open(unwanted)
    assert kept.take("a") is young


def test_each_waits_for_as_long_as_its_backend_allows(kept, ends, clock):
    long, short = ends(), ends()
    put(kept, "a", long, idle_s=IDLE_S)
    put(kept, "a", short, idle_s=1.0)
    clock.advance(1.0)
    assert kept.take("a") is long
    assert not ends.is_open(short)


def test_what_waited_too_long_is_closed_from_between_those_that_did_not(kept, ends, clock):
    first, short, last = ends(), ends(), ends()
    for connection, idle_s in ((first, 60.0), (short, 1.0), (last, 60.0)):
        put(kept, "a", connection, idle_s=idle_s)
    clock.advance(idle.SWEEP_S)
    assert kept.take("b") is None
    assert not ends.is_open(short)
    assert [kept.take("a"), kept.take("a")] == [last, first]


def test_number_in_all_is_bounded_and_the_expired_go_first(kept, ends, clock, monkeypatch):
    monkeypatch.setattr(idle, "TOTAL", 2)
    old, young, third, fourth = (ends() for _ in range(4))
    put(kept, "a", old)
    clock.advance(IDLE_S)
    put(kept, "b", young)
    put(kept, "c", third)
    assert not ends.is_open(old)
    put(kept, "d", fourth)  # none has expired: there is no room
    assert not ends.is_open(fourth)
    assert [kept.take("b"), kept.take("c")] == [young, third]


@pytest.mark.parametrize("use", ["put", "take"])
def test_any_use_closes_what_waited_too_long_under_other_keys(kept, ends, clock, use):
    drained = ends()
    put(kept, "drained", drained)
    clock.advance(idle.SWEEP_S)
    if use == "put":
        put(kept, "other", ends())
    else:
        kept.take("other")
    assert not ends.is_open(drained)


def test_what_is_still_young_stays(kept, ends, clock):
    young = ends()
    clock.advance(idle.SWEEP_S - 1)
    put(kept, "a", young)
    clock.advance(1)
    kept.take("b")
    assert kept.take("a") is young


def test_clear_closes_all(kept, ends):
    connection = ends()
    put(kept, "a", connection)
    kept.clear()
    assert not ends.is_open(connection)
    assert kept.take("a") is None


def test_a_forked_child_uses_none_of_its_parents(kept, ends):
    connection = ends()
    put(kept, "a", connection)
    with kept._lock:  # as another thread of the parent might
        child = os.fork()
        if child == 0:
            os._exit(0 if kept.take("a") is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kept.take("a") is connection  # the parent's own is untouched
    ends.others[connection].send(b"x")
