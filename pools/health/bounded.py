"""Connections of probes, which end at a deadline whatever the other side does.

A socket's own time-out begins anew with every byte, so that a backend which drips its
answer would hold a probe for ever. Here the connection, as `pools.net` makes it, and every
read share one deadline.
"""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from pools import net
from pools.core.document import Tls

# Host and port, or "unix:/path" and 0.
Address = tuple[str, int]


class Socket(socket.socket):
    """Reads end at `deadline` (of time.monotonic), which who connects it sets."""

    deadline: float

    def recv_into(self, *args: Any) -> int:
        self.settimeout(net.left_s(self.deadline, "reading the answer"))
        try:
            return super().recv_into(*args)
        except TimeoutError:
            raise net.Expired("reading the answer") from None


class TlsSocket(Socket, ssl.SSLSocket):
    """The same over TLS; `deadline` is set once the handshake is done."""


def connect(host: str, port: int, *, timeout_s: float) -> Socket:
    """A connection whose reads, too, end `timeout_s` from now; raises as net.connect."""
    deadline = time.monotonic() + timeout_s
    sock = net.connect(host, port, until=deadline, kind=Socket)
    sock.deadline = deadline
    return sock


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, to: Address, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._to = to

    def _new_conn(self) -> socket.socket:
        assert self.timeout
        return connect(*self._to, timeout_s=self.timeout)


class _TlsConnection(HTTPSConnection):
    def __init__(self, *args: Any, to: Address, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._to = to

    def _new_conn(self) -> Socket:
        assert self.timeout
        return connect(*self._to, timeout_s=self.timeout)

    def connect(self) -> None:
        assert self.timeout
        deadline = time.monotonic() + self.timeout
        try:
            super().connect()
        except net.Expired:
            raise
        except TimeoutError:
            raise net.Expired("in the TLS handshake") from None
        assert isinstance(self.sock, TlsSocket)
        self.sock.deadline = deadline
        self.is_verified = True  # or as the operator chose: no warning at each probe


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """Sends requests over bounded connections to one address, with a pool's TLS settings.

    The host of a request's URL is for Host and TLS alone. The connect time-out given to
    `send` is the bound of all: name, connection, handshake, head and body. Nothing is taken
    from the process's environment.
    """

    def __init__(self, to: Address, tls: Tls) -> None:
        self._tls = tls
        super().__init__(pool_connections=1, pool_maxsize=1)
        # What a pool does not know it hands to its connections.
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_Pool, to=to),
            "https": partial(_TlsPool, to=to),
        }

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """The context holds all of it."""

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify=False)
        if host["scheme"] != "https":
            return host, {}
        return host, {
            "ssl_context": net.tls_context(self._tls, TlsSocket),
            "server_hostname": self._tls.server_name or None,
        }
