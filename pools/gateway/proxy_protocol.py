"""The PROXY protocol, versions 1 and 2: who the client is, as a balancer before us tells it.

Rules (HAProxy's specification, https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt):
- From a trusted peer the header is required, whole, before anything else and in time. From
  any other none is read: one that comes all the same is a malformed request.
- Not a byte behind the header is taken from the socket.
- UNKNOWN, LOCAL and other families than TCP's say nothing of the client: it is the peer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pools.outage import Outage

if TYPE_CHECKING:
    from pools.gateway.gateway import Gateway

logger = logging.getLogger("pools.gateway")

V1_MOST_BYTES = 107
V2_MOST_BYTES = 4096  # with TLVs; nginx's bound
MOST_IN_HEADER = 1024  # connections whose header is awaited; others wait to be accepted
ACCEPTED_AT_ONCE = 64  # before the loop goes on to what else there is
PAUSE_S = 0.5  # where no file or memory is left for another connection

_V1 = b"PROXY "
_V1_LINE = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]{2,39}) ([0-9A-Fa-f:.]{2,39})"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n"
)
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED_BYTES = 16
_LOCAL, _PROXIED = 0x20, 0x21
# Of family and transport: the length of one address, and the bytes that must follow.
_TCP = {0x11: (4, 12), 0x21: (16, 36)}
_OTHERS = (0x00, 0x12, 0x22, 0x31, 0x32)


@dataclass(frozen=True, slots=True)
class Header:
    """A header of `length` bytes. `source`: the client's address; None: not told."""

    length: int
    source: str | None


def parse(data: bytes) -> Header | None:
    """The header that the data begins with; None: more is needed. Raises ValueError.

    As long as it is None, all of the data belongs to the header.
    """
    if data.startswith(_V2):
        return _parse_v2(data)
    if data.startswith(_V1):
        return _parse_v1(data)
    if _V2.startswith(data) or _V1.startswith(data):
        return None
    raise ValueError("there is no PROXY header")


def _parse_v1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, V1_MOST_BYTES) + 2
    if end < 2:
        if len(data) >= V1_MOST_BYTES:
            raise ValueError("the header has no end")
        return None
    if data.startswith(b"PROXY UNKNOWN\r\n") or data.startswith(b"PROXY UNKNOWN "):
        return Header(end, None)
    found = _V1_LINE.fullmatch(data, 0, end)
    if not found:
        raise ValueError("the header is malformed")
    family, source, destination, *ports = found.groups()
    if any(int(port) > 65_535 for port in ports):
        raise ValueError("the header has a port that there is not")
    kind = ipaddress.IPv4Address if family == b"4" else ipaddress.IPv6Address
    try:
        kind(destination.decode())
        return Header(end, _told(kind(source.decode())))
    except ipaddress.AddressValueError:
        raise ValueError("the header has an address that is none") from None


def _parse_v2(data: bytes) -> Header | None:
    if len(data) < _V2_FIXED_BYTES:
        return None
    command, family = data[12], data[13]
    length = _V2_FIXED_BYTES + int.from_bytes(data[14:16])
    if length > V2_MOST_BYTES:
        raise ValueError("the header is too long")
    if command not in (_LOCAL, _PROXIED):
        raise ValueError("the header has an unknown version or command")
    size, addresses = _TCP.get(family, (0, 0))
    if not size and family not in _OTHERS:
        raise ValueError("the header has an unknown family")
    if command == _PROXIED and length < _V2_FIXED_BYTES + addresses:
        raise ValueError("the header is too short for its addresses")
    if len(data) < length:
        return None
    if command == _LOCAL or not size:
        return Header(length, None)
    source = data[_V2_FIXED_BYTES : _V2_FIXED_BYTES + size]
    return Header(length, _told(ipaddress.ip_address(source)))


def _told(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return str(getattr(address, "ipv4_mapped", None) or address)


class Listener:
    """Accepts connections on a listening socket that others may accept on, too.

    `trusts` says by its address whether a peer sends headers; that of a Unix socket is "".
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        gateway: Gateway,
        trusts: Callable[[str], bool],
        scheme: str,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._gateway = gateway
        self._trusts = trusts
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
        """Accept no more; connections whose header is not here yet are closed."""
        self._closed = True
        self._accept_no_more()
        if self._resuming:
            self._resuming.cancel()
        for connection in list(self._in_header):
            connection.fail("")
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
        peer = str(address[0]).partition("%")[0] if isinstance(address, tuple) else ""
        if self._trusts(peer):
            connection = _InHeader(self, self._loop, sock, peer)
            self._in_header.add(connection)
            connection.begin(self._gateway.conf.client_header_timeout_s)
        else:
            self._serve(sock, None)

    def header_came(self, connection: _InHeader, source: str | None) -> None:
        self._gone_on(connection)
        self._serve(connection.sock, source)

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
        if not self._resuming:
            self._accept_more()

    def _serve(self, sock: socket.socket, source: str | None) -> None:
        task = self._loop.create_task(self._connect(sock, source))
        self._serving.add(task)  # the loop alone does not keep it
        task.add_done_callback(self._serving.discard)

    async def _connect(self, sock: socket.socket, source: str | None) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = self._context is not None
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._gateway.protocol(scheme=self._scheme, peer=source),
                sock,
                ssl=self._context,
                ssl_handshake_timeout=(
                    self._gateway.conf.client_header_timeout_s if tls else None
                ),
            )
        except OSError as error:  # also of TLS: the client's matter
            logger.debug("a connection came to nothing: %s", error)
            sock.close()


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
