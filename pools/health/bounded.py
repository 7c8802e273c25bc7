"""Connections that end at a deadline, whatever the other side does.

A socket's own time-out bounds each wait and begins anew with every byte, so that a
backend which drips its answer would hold a probe for ever. Here the name's resolution,
the connection, the handshake and every read share one deadline.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from functools import lru_cache
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from pools.core.document import Tls


class Expired(TimeoutError):
    """The deadline passed; `doing` says in words what was going on."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        super().__init__(doing)


def connect(host: str, port: int, *, timeout_s: float) -> Socket:
    """A connection whose reads, too, end `timeout_s` from now.

    Addresses of a name are tried in turn. Raises Expired, socket.gaierror, OSError.
    """
    deadline = time.monotonic() + timeout_s
    problem: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for family, kind, protocol, _, address in _resolve(host, port, deadline):
        sock = Socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline, "connecting"))
            sock.connect(address)
            sock.settimeout(_left(deadline, "connecting"))
        except TimeoutError:
            sock.close()
            raise Expired("connecting") from None
        except OSError as error:
            sock.close()
            problem = error
        else:
            sock.deadline = deadline
            return sock
    raise problem


def _left(deadline: float, doing: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Expired(doing)
    return left


def _resolve(host: str, port: int, deadline: float) -> list[Any]:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # The resolver cannot be interrupted: it is left behind in a thread that ends with
    # the resolver's own time-out, and does not hold up the end of the process.
    answers: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(socket.gaierror(socket.EAI_NONAME, "not a name"))

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    try:
        answer = answers.get(timeout=_left(deadline, "resolving the name"))
    except queue.Empty:
        raise Expired("resolving the name") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class Socket(socket.socket):
    """Reads end at `deadline` (of time.monotonic)."""

    deadline: float

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_left(self.deadline, "reading the answer"))
        try:
            return super().recv_into(*args)
        except TimeoutError:
            raise Expired("reading the answer") from None


class TlsSocket(ssl.SSLSocket):
    """As Socket, over TLS; `deadline` is set once the handshake is done."""

    deadline: float

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_left(self.deadline, "reading the answer"))
        try:
            return super().recv_into(*args)
        except TimeoutError:
            raise Expired("reading the answer") from None


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        assert self.port and self.timeout
        return connect(self._dns_host, self.port, timeout_s=self.timeout)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> Socket:
        assert self.port and self.timeout
        return connect(self._dns_host, self.port, timeout_s=self.timeout)

    def connect(self) -> None:
        assert self.timeout
        deadline = time.monotonic() + self.timeout
        try:
            super().connect()
        except Expired:
            raise
        except TimeoutError:
            raise Expired("in the TLS handshake") from None
        assert isinstance(self.sock, TlsSocket)
        self.sock.deadline = deadline
        self.is_verified = True  # or as the operator chose: no warning at each probe


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


@lru_cache(maxsize=64)
def _context(verify: bool, ca: str) -> ssl.SSLContext:
    """Loading the system's CAs takes ten milliseconds and more: once for each choice."""
    context = ssl.create_default_context(cadata=ca or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = TlsSocket
    return context


class Adapter(HTTPAdapter):
    """Sends requests over bounded connections, with a pool's TLS settings.

    The connect time-out given to `send` is the bound of all: name, connection,
    handshake, head and body. Nothing is taken from the process's environment.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        super().__init__(pool_connections=1, pool_maxsize=1)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """The context holds all of it."""

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify=False)
        if host["scheme"] != "https":
            return host, {}
        return host, {
            "ssl_context": _context(self._tls.verify, self._tls.ca),
            "server_hostname": self._tls.server_name or None,
        }
