"""Connections that are made within a time, whatever the other side does.

A socket's own time-out bounds each step and begins anew with the next. Here the name's
resolution, its addresses and the handshake share one end, `until`, of time.monotonic.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import queue
import socket
import ssl
import threading
import time
from functools import lru_cache
from typing import Any

from pools.core import fields
from pools.core.document import Tls

# Files, memory and local ports: what this process lacks is no backend's failure.
OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def connect(host: str, port: int, *, until: float) -> socket.socket:
    """A connection; the addresses of a name are tried in turn.

    `host` may be a Unix socket, as "unix:/path". Its own time-out is what is left, for a
    handshake. Raises TimeoutError, socket.gaierror, OSError.
    """
    problem: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    for family, type_, protocol, _, address in _addresses(host, port, until):
        sock = socket.socket(family, type_, protocol)
        try:
            sock.settimeout(_left_s(until, "connecting"))
            sock.connect(address)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(_left_s(until, "connecting"))
        except TimeoutError:
            sock.close()
            raise TimeoutError("timed out connecting") from None
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
        answer = answers.get(timeout=_left_s(until, "resolving the name"))
    except queue.Empty:
        raise TimeoutError("timed out resolving the name") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _left_s(until: float, doing: str) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"timed out {doing}")
    return left


def words(error: OSError) -> str:
    """What went wrong, for people: "connection refused", without numbers and addresses."""
    if isinstance(error, ssl.SSLError | socket.gaierror) or error.errno is None:
        return str(error)
    return os.strerror(error.errno).lower()


def tls_context(spec: Tls) -> ssl.SSLContext:
    """The client context of a pool's TLS, but for the server's name."""
    return _context(spec.verify, spec.ca)


@lru_cache(maxsize=1024)
def _context(verify: bool, ca: str) -> ssl.SSLContext:
    """Made once, as loading the system's CAs takes ten milliseconds and more."""
    context = ssl.create_default_context(cadata=ca or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
