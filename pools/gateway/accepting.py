"""Connections before they are clients: accepted, and their PROXY header and TLS handshake
awaited.

Rules:
- From a trusted peer the PROXY header is required, whole, before anything else and in time.
  From any other none is read: one that comes all the same is a malformed request.
- Not a byte behind the header is taken from the socket.
- They are counted like clients. One too many is closed before its handshake, as nothing can
  be said to it yet and the handshake is what costs.
- uvloop's own servers tell of no handshake before it is done, and of none that fails: so
  these connections are accepted here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from pools.gateway.downstream import address_of
from pools.gateway.proxy_protocol import V2_MOST_BYTES, parse
from pools.outage import Outage

if TYPE_CHECKING:
    from pools.gateway.downstream import Downstream
    from pools.gateway.gateway import Gateway

logger = logging.getLogger("pools.gateway")

MOST_IN_HEADER = 1024  # connections whose header is awaited; others wait to be accepted
ACCEPTED_AT_ONCE = 64  # before the loop goes on to what else there is
PAUSE_S = 0.5  # where no file or memory is left for another connection


class Listener:
    """Accepts connections on a listening socket that others may accept on, too.

    `tells` says by its address whether a peer sends headers; that of a Unix socket is "".
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        gateway: Gateway,
        tells: Callable[[str], bool],
        scheme: str,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._gateway = gateway
        self._tells = tells
        self._scheme = scheme
        self._context = context
        self._in_header: set[_InHeader] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None
        self._accepting = False
        self._closed = False
        self._full = Outage(
            logger,
            begun="connections wait to be accepted",
            over="connections are accepted again",
        )
        sock.setblocking(False)
        self._accept_more()

    def close(self) -> None:
        """Accept no more; those that were are the gateway's to end."""
        self._closed = True
        self._accept_no_more()
        if self._resuming:
            self._resuming.cancel()
        self._sock.close()

    def _accept_more(self) -> None:
        if not self._accepting and not self._closed:
            self._accepting = True
            self._loop.add_reader(self._sock, self._accept)

    def _accept_no_more(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._sock)

    def _resume(self) -> None:
        self._resuming = None
        self._accept_more()

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if len(self._in_header) >= MOST_IN_HEADER:
                self._accept_no_more()  # until one of them has gone on
                return
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no file or memory is left
                self._full.begins(error)
                self._accept_no_more()
                self._resuming = self._loop.call_later(PAUSE_S, self._resume)
                return
            self._full.over()
            self._accepted(sock, address)

    def _accepted(self, sock: socket.socket, address: object) -> None:
        sock.setblocking(False)
        peer = address_of(address)
        if self._tells(peer):
            connection = _InHeader(self, self._loop, sock, peer)
            self._in_header.add(connection)
            self._gateway.arrives(connection, peer, partial(connection.fail, ""))
            connection.begin(self._gateway.conf.client_header_timeout_s)
        else:
            self._serve(sock, peer, None)

    def header_came(self, connection: _InHeader, source: str | None) -> None:
        self._gone_on(connection)
        self._serve(connection.sock, source or connection.peer, source)

    def header_failed(self, connection: _InHeader, reason: str) -> None:
        """`reason`: what is wrong with it; "" where the peer left without a word."""
        self._gone_on(connection)
        connection.sock.close()
        if reason:
            self._gateway.counters.refused += 1
            self._gateway.troubles.add(
                connection.peer or "a Unix socket",
                f"connection closed, {reason}: have this peer send the PROXY protocol, or take"
                " it out of the trusted proxies",
            )

    def _gone_on(self, connection: _InHeader) -> None:
        self._in_header.discard(connection)
        self._gateway.arrived(connection)
        if not self._resuming:
            self._accept_more()

    def _serve(self, sock: socket.socket, peer: str, source: str | None) -> None:
        client = self._gateway.protocol(scheme=self._scheme, peer=source)
        if self._context is not None and not self._gateway.arrives(
            client, peer, partial(_break_off, sock)
        ):
            self._gateway.arrived(client)
            self._gateway.counters.refused += 1
            sock.close()
            return
        task = self._loop.create_task(self._connect(sock, client))
        self._serving.add(task)  # the loop alone does not keep it
        task.add_done_callback(self._serving.discard)

    async def _connect(self, sock: socket.socket, client: Downstream) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = self._context is not None
        try:
            await self._loop.connect_accepted_socket(
                lambda: client,
                sock,
                ssl=self._context,
                ssl_handshake_timeout=(
                    self._gateway.conf.client_header_timeout_s if tls else None
                ),
            )
        except OSError as error:  # also of TLS: the client's matter
            logger.debug("a connection came to nothing: %s", error)
            sock.close()
        except asyncio.CancelledError:  # the worker ends
            sock.close()
            raise
        finally:
            self._gateway.arrived(client)


def _break_off(sock: socket.socket) -> None:
    """End a handshake: it fails by the end of its connection."""
    with suppress(OSError):  # it has ended already
        sock.shutdown(socket.SHUT_RDWR)


class _InHeader:
    """A connection whose header is awaited."""

    __slots__ = ("_begun", "_listener", "_loop", "_reading", "_timer", "peer", "sock")

    def __init__(
        self,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        peer: str,
    ) -> None:
        self.sock = sock
        self.peer = peer
        self._listener = listener
        self._loop = loop
        self._begun = b""  # the part of the header that came
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, timeout_s: float) -> None:
        self._timer = self._loop.call_later(timeout_s, self.fail, "the header is late")
        self._read()

    def fail(self, reason: str) -> None:
        self._stop()
        self._listener.header_failed(self, reason)

    def _read(self) -> None:
        try:
            came = self.sock.recv(V2_MOST_BYTES, socket.MSG_PEEK)
            if not came:
                self.fail("the header is cut short" if self._begun else "")
                return
            header = parse(self._begun + came)
            # What belongs to the header is taken, or it would be read again and again.
            wanted = len(came) if header is None else header.length - len(self._begun)
            self._begun += self.sock.recv(wanted)
        except (BlockingIOError, InterruptedError):
            header = None
        except OSError:  # it was reset
            self.fail("")
            return
        except ValueError as error:
            self.fail(str(error))
            return
        if header is not None:
            self._stop()
            self._listener.header_came(self, header.source)
        elif not self._reading:
            self._reading = True
            self._loop.add_reader(self.sock, self._read)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._reading:
            self._loop.remove_reader(self.sock)
