"""One connection to a backend: it sends a request's bytes and reads the answer to it."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Hashable
from typing import TYPE_CHECKING, Protocol, cast

from pools import net
from pools.core.retry import FailureKind
from pools.gateway.progress import PEER_CLOSED, events_now
from pools.wire.errors import UpstreamError
from pools.wire.parser import ResponseParser

if TYPE_CHECKING:
    from pools.gateway.idle import IdleConnections


# Of a connection that was reset.
READ_BYTES = 65_536
MOST_READ = 4


class Sender(Protocol):
    """Whose request is on the connection."""

    def answer_came(self) -> None:
        """The parser has more of the answer."""

    def upstream_failed(self, error: UpstreamError) -> None:
        """The connection broke, or what came is no answer. It is closed."""

    def upstream_full(self) -> None:
        """The backend reads more slowly than the body comes."""

    def upstream_free(self) -> None:
        """It reads again."""


class Upstream(asyncio.Protocol):
    """A connection of one request at a time; `key` is what it may be used again for.

    `answered`: bytes of an answer to the present request came. `reused`: it carried another
    request before. `idle_until` is on the loop's clock. `idle_s`: how long the backend keeps
    it, as its first answer said; below 0: not known yet.
    """

    __slots__ = (
        "_idle",
        "_sender",
        "_transport",
        "answered",
        "closed",
        "idle_s",
        "idle_until",
        "key",
        "parser",
        "reused",
    )

    _transport: asyncio.Transport

    def __init__(self, key: Hashable, idle: IdleConnections) -> None:
        self.key = key
        self._idle = idle
        self._sender: Sender | None = None
        self.parser = ResponseParser(b"")
        self.answered = False
        self.reused = False
        self.closed = False
        self.idle_s = -1.0
        self.idle_until = 0.0

    @property
    def transport(self) -> asyncio.Transport:
        return self._transport

    def begin(self, sender: Sender, method: bytes, upgrade: bytes | None, reused: bool) -> None:
        """A request is to be sent."""
        self._sender = sender
        self.reused = reused
        self.answered = False
        self.parser.begin(method, upgrade)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def release(self) -> None:
        """The answer is all here; the connection is nobody's."""
        self._sender = None

    def close(self) -> None:
        """End it, and whatever is on it."""
        self._sender = None
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def is_quiet(self) -> bool:
        """Whether the backend neither closed it nor sent anything; costs a system call."""
        return not self.closed and (
            events_now(self._transport, select.POLLIN | PEER_CLOSED) == 0
        )

    def says_something(self) -> bool:
        """Whether `data_received` or an end is about to come; with TLS maybe neither is, as
        what has arrived may be TLS's own."""
        return not self.is_quiet()

    @property
    def is_tls(self) -> bool:
        return self._transport.get_extra_info("sslcontext") is not None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        sender = self._sender
        if sender is None:  # idle: nobody asked for anything
            self._discard()
            return
        self.answered = True
        try:
            self.parser.feed(data)
        except UpstreamError as error:
            self.close()
            sender.upstream_failed(error)
        else:
            sender.answer_came()

    def eof_received(self) -> None:
        sender = self._sender
        if sender is None:
            self._discard()
            return
        try:
            self.parser.end()
        except UpstreamError as error:
            self.close()
            sender.upstream_failed(error)
        else:
            sender.answer_came()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if error is not None and self._sender is not None and not self.is_tls:
            self._hear_out()
        sender, self._sender = self._sender, None
        if sender is None:
            self._idle.remove(self)
        else:
            how = net.words(error) if isinstance(error, OSError) else "it was closed"
            why = f"the connection to the backend broke: {how}"
            sender.upstream_failed(UpstreamError(FailureKind.ERROR, why))

    def pause_writing(self) -> None:
        if self._sender is not None:
            self._sender.upstream_full()

    def resume_writing(self) -> None:
        if self._sender is not None:
            self._sender.upstream_free()

    def _hear_out(self) -> None:
        """Read what had arrived when writing met a reset: it may be all of an early answer."""
        sock = self._transport.get_extra_info("socket")
        for _ in range(MOST_READ):
            sender = self._sender
            if sender is None:
                return
            try:
                data = os.read(sock.fileno(), READ_BYTES)
                self.parser.feed(data)
            except (OSError, UpstreamError):
                return
            if not data:
                return
            self.answered = True
            self.parser.reusable = False
            sender.answer_came()

    def _discard(self) -> None:
        self._idle.remove(self)
        self.close()
