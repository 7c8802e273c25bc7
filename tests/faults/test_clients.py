"""Clients that are slow, rude or idle: others are served, and nothing of them stays.

FAULTS_IDLE says how many are idle; 10000 is the promise.
"""

import os
import socket
import struct
from contextlib import ExitStack

import pytest

from tests.faults import PATIENCE_S
from tests.faults.crowd import crowd, hear, say
from tests.faults.gateway import resident_kb
from tests.faults.load import Load, adds_up
from tests.services import eventually

IDLE = int(os.environ.get("FAULTS_IDLE", "2000"))
GROUP = 200  # open at once
SLOW = 300

# Of the gateway's whole memory, by what a test does to it: generous, and no leak fits in.
GROWTH_KB = 30_000

GET = b"GET /%b HTTP/1.1\r\nHost: steady.test\r\n%b\r\n"


def test_slow_heads_are_given_up_and_hold_nobody_up(gateway, site):
    """Each sends a byte for every request of the others, and never a whole head."""
    before = resident_kb(gateway.workers())
    with (
        crowd(gateway.address, SLOW) as slow,
        Load(gateway.address, host="steady.test") as load,
    ):
        say(slow, b"GET / HTTP/1.1\r\nHost: steady.test\r\nX: ")
        for _ in range(10):
            say(slow, b"x")
            load.wait(20)
        answers = hear(slow, b"\0")
    assert load.failed() == []
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 408 "}
    adds_up(load, site.backends)
    eventually(
        lambda: gateway.connections() == 0,
        within_s=PATIENCE_S,
        saying="their connections ended",
    )
    assert resident_kb(gateway.workers()) - before < GROWTH_KB


def test_slow_bodies_are_given_up(gateway, site):
    head = b"POST / HTTP/1.1\r\nHost: steady.test\r\nContent-Length: 100\r\n\r\nsome"
    with crowd(gateway.address, 50) as slow:
        say(slow, head)
        with Load(gateway.address, host="steady.test") as load:
            load.wait(200)
        answers = hear(slow, b"\0")
    assert load.failed() == []
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 408 "}
    eventually(
        lambda: gateway.connections() == 0,
        within_s=PATIENCE_S,
        saying="their connections ended",
    )


def test_half_closed_clients_are_answered_or_closed(gateway):
    """By how far they got: with a whole request, half of one, or none."""
    for sent in (GET % (b"", b""), b"GET / HTTP/1.1\r\nHo", b""):
        with crowd(gateway.address, 20) as socks:
            say(socks, sent)
            for sock in socks:
                sock.shutdown(socket.SHUT_WR)
            answers = hear(socks, b"\0")
        assert {answer[:9] for answer in answers} <= {b"HTTP/1.1 ", b""}
    eventually(
        lambda: gateway.connections() == 0,
        within_s=PATIENCE_S,
        saying="their connections ended",
    )


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        GET % (b"held", b""),
        GET % (b"bytes/5000000", b""),
        b"POST /sink HTTP/1.1\r\nHost: steady.test\r\nContent-Length: 9\r\n\r\nabc",
        GET % (b"echo", b"Connection: upgrade\r\nUpgrade: websocket\r\n") + b"hello",
        (GET % (b"", b"")) * 50,
    ],
    ids=[
        "silent",
        "in a head",
        "waiting",
        "in an answer",
        "in a body",
        "in a tunnel",
        "queued",
    ],
)
def test_reset_of_clients_leaves_nothing_behind(gateway, site, sent):
    """Whatever they were in; backends are left by then too, and blamed for nothing."""
    for backend in site.backends:
        backend.hold()
    with crowd(gateway.address, 60) as socks:
        say(socks, sent)
        eventually(
            lambda: gateway.connections() >= 60, within_s=PATIENCE_S, saying="connections"
        )
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(
        lambda: gateway.connections() == 0,
        within_s=PATIENCE_S,
        saying="their connections ended",
    )
    eventually(gateway.rests, within_s=PATIENCE_S, saying="rest")
    with Load(gateway.address, host="steady.test") as load:
        load.wait(60)
    assert load.failed() == []
    assert {one.backend for one in load.outcomes} == {each.name for each in site.backends}


def served(socks):
    assert {answer[:13] for answer in hear(socks, b" 0\n")} == {b"HTTP/1.1 200 "}


def test_many_idle_clients_are_held_and_served(gateway):
    """Each asks once, and again after all the others did."""
    request = GET % (b"", b"X-Fault-Id: idle\r\n")
    with ExitStack() as stack:
        groups = []
        for _ in range(0, IDLE, GROUP):
            groups.append(stack.enter_context(crowd(gateway.address, GROUP)))
            say(groups[-1], request)
            served(groups[-1])
        assert gateway.connections() == GROUP * len(groups)
        for socks in groups:
            say(socks, request)
            served(socks)
        assert gateway.connections() == GROUP * len(groups)
        with Load(gateway.address, host="steady.test") as load:
            load.wait(200)
        assert load.failed() == []
    eventually(
        lambda: gateway.connections() == 0,
        within_s=PATIENCE_S,
        saying="their connections ended",
    )
