"""Whether the other end of a connection takes what is sent to it."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from contextlib import suppress

_INT = struct.Struct("i")


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
