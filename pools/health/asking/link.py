"""One connection of a probe, on the loop and nothing but the loop.

Rules:
- The socket is this module's own and no transport's: closed means closed, at once, on
  every way out, with uvloop and without.
- Who closes first keeps the connection in TIME_WAIT for a minute. So the backend is given
  FAREWELL_S to do it: HTTP asks for that (Connection: close); elsewhere our end is said
  first, so that the backend sees an orderly end and not an error.
- Who has not ended it by then, and whoever fails or hangs, is reset: nothing of it stays.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

READ_BYTES = 65_536
FAREWELL_S = 0.05
FAREWELL_BYTES = 1_048_576  # read and thrown away meanwhile

_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class Link:
    """Not connected until `connect`, plain until `handshake`. Of one task."""

    __slots__ = ("_fd", "_incoming", "_loop", "_outgoing", "_sock", "_tls", "ended")

    def __init__(self, loop: asyncio.AbstractEventLoop, family: int) -> None:
        """Raises OSError where this process lacks files."""
        self._loop = loop
        self._sock = socket.socket(family, _KIND)
        self._fd = self._sock.fileno()
        self._tls: ssl.SSLObject | None = None
        self.ended = False  # by the backend
        if family != socket.AF_UNIX:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def connect(self, address: Any) -> None:
        """To an address of its family; raises OSError."""
        problem = self._sock.connect_ex(address)
        if problem == errno.EINPROGRESS:
            await self._ready(self._loop.add_writer, self._loop.remove_writer)
            problem = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise OSError(problem, os.strerror(problem))

    async def handshake(self, context: ssl.SSLContext, server_name: str) -> None:
        """TLS from here on; raises ssl.SSLError and OSError."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name
        )
        try:
            await self._through(self._tls.do_handshake)
        except ssl.SSLError:
            self._say_now()  # the alert tells the backend why
            raise

    @property
    def tls_version(self) -> str:
        return (self._tls.version() if self._tls else None) or ""

    @property
    def certificate(self) -> bytes | None:
        """What the backend showed in the handshake, verified or not, in DER."""
        return self._tls.getpeercert(binary_form=True) if self._tls else None

    async def send(self, data: bytes) -> None:
        """Raises OSError."""
        tls = self._tls
        if tls is None:
            await self._send(data)
        elif data:
            await self._through(lambda: tls.write(data))

    async def receive(self) -> bytes:
        """What comes next; b"" at the end. Raises OSError."""
        tls = self._tls
        if tls is None:
            return await self._receive()
        try:
            return await self._through(lambda: tls.read(READ_BYTES))
        except ssl.SSLEOFError:  # ended without saying so: usual, and no matter here
            return b""

    async def leave(self, *, within_s: float, first: bool) -> None:
        """Let the backend end it; `first`: after we have said that we do."""
        try:
            if first:
                self._say_end()
            async with asyncio.timeout(within_s):
                left = FAREWELL_BYTES
                while left > 0 and not self.ended:
                    left -= len(await self._receive())
        except OSError:  # TimeoutError is one
            pass
        finally:
            self.close(reset=not self.ended)

    def close(self, *, reset: bool) -> None:
        if reset:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._sock.close()

    async def _through(self, call: Callable[[], T]) -> T:
        """What a call of the TLS object gives, with all that it wants sent and received."""
        while True:
            try:
                found = call()
            except ssl.SSLWantReadError:
                await self._send(self._outgoing.read())
                if data := await self._receive():
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                await self._send(self._outgoing.read())
                return found

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)

    async def _receive(self) -> bytes:
        while True:
            try:
                data = self._sock.recv(READ_BYTES)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
            else:
                self.ended = not data
                return data

    async def _ready(self, add: Callable[..., object], remove: Callable[[int], object]) -> None:
        ready = self._loop.create_future()
        add(self._fd, _set, ready)
        try:
            await ready
        finally:
            remove(self._fd)

    def _say_end(self) -> None:
        if self._tls is not None:
            with suppress(ssl.SSLError):  # which wants the other's
                self._tls.unwrap()
            self._say_now()
        self._sock.shutdown(socket.SHUT_WR)

    def _say_now(self) -> None:
        """What TLS has to say, as far as it can be said without waiting."""
        with suppress(OSError):
            self._sock.send(self._outgoing.read())


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
