"""Connections that are made within a time, whatever the other side does.

A socket's own time-out bounds each step and begins anew with the next. Here the name's
resolution, its addresses and the handshake share one end, `until`, of time.monotonic.
"""

from __future__ import annotations

import ipaddress
import os
import queue
import socket
import ssl
import threading
import time
from functools import lru_cache
from typing import Any, TypeVar

from pools.core import fields
from pools.core.document import Tls

S = TypeVar("S", bound=socket.socket)


class Expired(TimeoutError):
    """The time is over; `doing` says in words what was going on."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        super().__init__(f"timed out {doing}")


def left_s(until: float, doing: str) -> float:
    """The seconds that are left; raises Expired when there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise Expired(doing)
    return left


def connect(host: str, port: int, *, until: float, kind: type[S]) -> S:
    """A connection of this kind of socket; the addresses of a name are tried in turn.

    `host` may be a Unix socket, as "unix:/path". Its own time-out is what is left, for a
    handshake. Raises Expired, socket.gaierror, OSError.
    """
    problem: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    for family, type_, protocol, _, address in _addresses(host, port, until):
        sock = kind(family, type_, protocol)
        try:
            sock.settimeout(left_s(until, "connecting"))
            sock.connect(address)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(left_s(until, "connecting"))
        except TimeoutError:
            sock.close()
            raise Expired("connecting") from None
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


def _addresses(host: str, port: int, until: float) -> list[Any]:
    """As of getaddrinfo."""
    if path := fields.unix_path(host):
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path)]
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
        answer = answers.get(timeout=left_s(until, "resolving the name"))
    except queue.Empty:
        raise Expired("resolving the name") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def words(error: OSError) -> str:
    """What went wrong, for people: "connection refused", without numbers and addresses."""
    if isinstance(error, ssl.SSLError | socket.gaierror) or error.errno is None:
        return str(error)
    return os.strerror(error.errno).lower()


@lru_cache(maxsize=256)
def tls_context(spec: Tls, kind: type[ssl.SSLSocket] = ssl.SSLSocket) -> ssl.SSLContext:
    """The client context of a pool's TLS, which makes sockets of this kind.

    Made once, as loading the system's CAs takes ten milliseconds and more.
    """
    context = ssl.create_default_context(cadata=spec.ca or None)
    if not spec.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = kind
    return context
