"""What the other end of a connection does, without reading from it."""

from __future__ import annotations

import asyncio
import fcntl
import select
import struct
import termios
from contextlib import suppress

# Linux tells at once that the other end closed; elsewhere an end is seen when it is read.
PEER_CLOSED = getattr(select, "POLLRDHUP", 0)

_INT = struct.Struct("i")


def events_now(transport: asyncio.Transport, events: int) -> int | None:
    """Those of poll's events that hold now; None: the socket is gone. A system call."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return None
    poll = select.poll()
    poll.register(sock.fileno(), events)
    return dict(poll.poll(0)).get(sock.fileno(), 0)


def untaken_bytes(transport: asyncio.Transport) -> int:
    """What the other end has not taken yet, here and in the kernel.

    The kernel tells of room only once there is much of it: that somebody takes little, but
    takes it, shows in the kernel's queue alone.
    """
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    with suppress(OSError, AttributeError):
        (queued,) = _INT.unpack(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
        waiting += queued
    return waiting
