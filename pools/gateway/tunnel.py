"""A connection that switched protocols: bytes go both ways until both ends have ended.

Each end is a protocol that takes its connection over from the HTTP that went before. An end
that stops sending is passed on as just that (half-close), where the transport can; TLS cannot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LAST_S = 10.0

# Of this tunnel's life, in seconds and bytes: how it went, for counters and the log.
Ended = Callable[[str], None]


class Tunnel:
    """Two connections joined. `touched`: when bytes last went through, on the loop's clock.

    `ended` is called once, with the reason.
    """

    __slots__ = (
        "_backend",
        "_client",
        "_clock",
        "_ended",
        "_why",
        "idle_s",
        "sent_bytes",
        "touched",
    )

    def __init__(
        self,
        client: asyncio.Transport,
        backend: asyncio.Transport,
        *,
        idle_s: float,
        clock: Callable[[], float],
        ended: Ended,
    ) -> None:
        self._clock = clock
        self.touched = clock()
        self.idle_s = idle_s
        self.sent_bytes = 0  # to the client
        self._ended: Ended | None = ended
        self._why = ""  # it ends
        self._client = _End(self, client, "the client")
        self._backend = _End(self, backend, "the backend")
        self._client.other, self._backend.other = self._backend, self._client
        client.set_protocol(self._client)
        backend.set_protocol(self._backend)
        client.resume_reading()
        backend.resume_reading()

    def start(self, *, to_backend: bytes, to_client: bytes) -> None:
        """Pass on what came before the ends were joined."""
        if to_backend:
            self._client.data_received(to_backend)
        if to_client:
            self._backend.data_received(to_client)

    def check(self, now: float) -> None:
        """End it if nothing went through for too long."""
        if now - self.touched >= self.idle_s:
            self.cut(self._why or "nothing went through the tunnel for too long")

    def cut(self, why: str) -> None:
        ended, self._ended = self._ended, None
        self._client.transport.abort()
        self._backend.transport.abort()
        if ended is not None:
            ended(why)

    def lost(self, end: _End) -> None:
        """One end is gone. What it sent still reaches the other, which has LAST_S to take it;
        only then is the tunnel over."""
        if not self._why:
            self._why = f"{end.name} ended the tunnel"
            self.idle_s = min(self.idle_s, LAST_S)
            self.touched = self._clock()
            end.other.transport.close()
            return
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self._why)


class _End(asyncio.Protocol):
    """One end; `other` is the one that gets what comes here."""

    __slots__ = ("_tunnel", "finished", "name", "other", "transport")

    other: _End

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, name: str) -> None:
        self._tunnel = tunnel
        self.transport = transport
        self.name = name
        self.finished = False  # it sends no more

    def data_received(self, data: bytes) -> None:
        tunnel = self._tunnel
        tunnel.touched = tunnel._clock()
        if self is tunnel._backend:
            tunnel.sent_bytes += len(data)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.finished = True
        other = self.other
        if other.finished or not other.transport.can_write_eof():
            other.transport.close()
            return False
        other.transport.write_eof()
        return self.transport.can_write_eof()  # stay open to be written to; TLS cannot

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._tunnel.lost(self)
