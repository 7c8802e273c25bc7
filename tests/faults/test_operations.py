"""What an operator does, and what the system does to workers, under load."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.faults import PATIENCE_S
from tests.faults.client import Outcome
from tests.faults.crowd import crowd, hear, say
from tests.faults.gateway import Gateway, environment
from tests.faults.load import Load, adds_up, arrivals
from tests.faults.test_tunnels import UPGRADE
from tests.services import eventually, gone

GET = b"GET /%b HTTP/1.1\r\nHost: steady.test\r\n\r\n"


@pytest.fixture(scope="module")
def pair(folder, publisher) -> Iterator[Gateway]:
    """A gateway of two workers. Requests get a second to finish, tunnels far longer."""
    drains = {"DRAIN_TIMEOUT": "1", "TUNNEL_DRAIN_TIMEOUT": "60"}
    gateway = Gateway(folder, environment(folder, **drains), workers=2)
    yield gateway
    gateway.stop()


@pytest.fixture
def two(pair, site) -> Iterator[Gateway]:
    yield pair
    site.well()
    eventually(lambda: len(pair.workers()) == 2, within_s=PATIENCE_S, saying="two workers")
    eventually(pair.rests, within_s=PATIENCE_S, saying=f"rest, {pair.status()}")


def unanswered(outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if not one.status]


def lost_nothing(load: Load, site) -> None:
    """GETs were served, on a second connection at the latest. What of POSTs has no answer
    met its connection's end, and no other failure."""
    adds_up(load, site.backends)
    assert load.failed("GET") == []
    assert {one.status for one in load.outcomes} <= {200, 0}
    assert {one.why for one in unanswered(load.outcomes)} <= {"closed", "reset"}


def test_reload_costs_no_request(two, site):
    """New workers take over, and the old ones end. What a client has sent when its idle
    connection is closed it sends again, as it would to any server."""
    before = two.workers()
    with Load(two.address, host="steady.test", again=True) as load:
        load.wait(100)
        two.send(signal.SIGHUP)
        eventually(
            lambda: all(map(gone, before)), within_s=PATIENCE_S, saying="the old workers end"
        )
        load.wait(200)
    lost_nothing(load, site)
    came = arrivals(site.backends)
    for one in unanswered(load.outcomes):
        assert not came["POST", one.request_id], f"{one} was cut though a backend had it"
    assert len(two.workers()) == 2
    assert not set(two.workers()) & set(before)


def test_killed_worker_costs_only_its_own_connections(two, site):
    """As many as it held by its own word; the others go on where they are."""
    with crowd(two.address, 40) as socks:
        say(socks, GET % b"")
        assert {answer[:13] for answer in hear(socks, b" 0\n")} == {b"HTTP/1.1 200 "}
        held = {each["pid"]: each["connections"] for each in two.told()}
        assert sum(held.values()) == 40
        victim = max(held, key=lambda pid: held[pid])
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: gone(victim), within_s=PATIENCE_S)
        say(socks, GET % b"")
        answers = hear(socks, b" 0\n")
        assert answers.count(b"") == held[victim]
        assert {answer[:13] for answer in answers if answer} == {b"HTTP/1.1 200 "}


def test_clients_of_a_killed_worker_are_served_at_once_on_new_connections(two, site):
    with Load(two.address, host="steady.test", again=True) as load:
        load.wait(100)
        victim = two.workers()[0]
        os.kill(victim, signal.SIGKILL)
        load.wait(200)
        eventually(
            lambda: len(set(two.workers()) - {victim}) == 2,
            within_s=PATIENCE_S,
            saying="another worker",
        )
        load.wait(50)
    lost_nothing(load, site)
    assert len(unanswered(load.outcomes)) <= 8
    assert max(one.tries for one in load.outcomes) <= 2


def test_drained_worker_lets_tunnels_go_on_beyond_requests(two, site):
    """What still waits when a request's grace is over is cut; a tunnel has its own.

    Either worker may have accepted every tunnel: the other one ends sooner.
    """
    before = two.workers()
    for backend in site.backends:
        backend.hold()
    with crowd(two.address, 20) as tunnels, crowd(two.address, 10) as waiting:
        say(tunnels, UPGRADE)
        hear(tunnels, b"\r\n\r\n")
        holding = {each["pid"]: each["tunnels"] for each in two.told() if each["tunnels"]}
        assert sum(holding.values()) == 20
        say(waiting, GET % b"held")
        eventually(lambda: sum(each.state()["held"] for each in site.backends) == 10)
        two.send(signal.SIGHUP)
        assert not any(b"HTTP/1.1 200 " in answer for answer in hear(waiting, b" 0\n"))
        say(tunnels, b"still here\0")
        assert set(hear(tunnels, b"\0")) == {b"still here\0"}
        assert not any(map(gone, holding))
    eventually(
        lambda: all(map(gone, before)), within_s=PATIENCE_S, saying="they end with the tunnels"
    )


def test_next_gateway_takes_over_while_the_first_drains(folder, publisher, site):
    """They share a listener: requests in flight finish, new connections are the next one's,
    and nothing is refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        first = Gateway(folder, environment(folder), listener=listener)
        for backend in site.backends:
            backend.hold()
        with (
            crowd(first.address, 10) as waiting,
            Load(first.address, host="steady.test", again=True) as load,
        ):
            say(waiting, GET % b"held")
            load.wait(50)
            eventually(lambda: sum(each.state()["held"] for each in site.backends) == 10)
            second = Gateway(folder, environment(folder), listener=listener)
            first.send(signal.SIGTERM)
            load.wait(200)
            for backend in site.backends:
                backend.release()
            assert {answer[:13] for answer in hear(waiting, b" 0\n")} == {b"HTTP/1.1 200 "}
            assert first.wait() == 0
            load.wait(100)
    lost_nothing(load, site)
    refuses_once_it_drains(second, site)


def refuses_once_it_drains(gateway: Gateway, site) -> None:
    """Nobody else has its listener now."""
    for backend in site.backends:
        backend.hold()
    with crowd(gateway.address, 5) as waiting:
        say(waiting, GET % b"held")
        eventually(lambda: sum(each.state()["held"] for each in site.backends) == 5)
        gateway.send(signal.SIGTERM)
        eventually(lambda: refused(gateway.address), within_s=PATIENCE_S, saying="refusal")
        for backend in site.backends:
            backend.release()
        answers = hear(waiting, b"\0")
        assert {answer[:13] for answer in answers} == {b"HTTP/1.1 200 "}
        assert all(b"\r\nconnection: close\r\n" in answer.lower() for answer in answers)
    assert gateway.wait() == 0


def refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    return False
