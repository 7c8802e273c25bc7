"""Many raw connections at once, from one thread."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.faults import PATIENCE_S


@contextmanager
def crowd(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """So many open connections, which are closed at the end."""
    socks: list[socket.socket] = []
    try:
        for _ in range(count):
            socks.append(socket.create_connection(address, PATIENCE_S))
        yield socks
    finally:
        for sock in socks:
            sock.close()


def say(socks: Sequence[socket.socket], data: bytes) -> None:
    """Each sends the same; whom the gateway has closed on says nothing."""
    for sock in socks:
        try:
            sock.sendall(data)
        except ConnectionError:
            continue


def hear(socks: Sequence[socket.socket], ending: bytes) -> list[bytes]:
    """What each got, up to and with `ending`, or to the end of its connection."""
    heard = {sock.fileno(): b"" for sock in socks}
    poll = select.poll()
    by_fileno = {sock.fileno(): sock for sock in socks}
    for number in by_fileno:
        poll.register(number, select.POLLIN)
    waiting = set(by_fileno)
    until = time.monotonic() + 2 * PATIENCE_S
    while waiting:
        if time.monotonic() > until:
            pytest.fail(f"{len(waiting)} of {len(socks)} connections got no answer or end")
        for number, _ in poll.poll(100):
            try:
                data = by_fileno[number].recv(65_536)
            except ConnectionError:
                data = b""
            heard[number] += data
            if not data or heard[number].endswith(ending):
                poll.unregister(number)
                waiting.discard(number)
    return [heard[sock.fileno()] for sock in socks]
