"""What the WSGI server in front of us lets us see beyond PEP 3333.

Any server works. Under gunicorn's sync and gthread workers, which put the client's socket
into the environ, three things are better: a client that leaves is noticed while we wait
for the backend, bodies are passed on piece by piece as they arrive, and an answer that
comes before the upload is over is relayed although the client pauses (pools.wsgi.body).
Each is found by what the environ holds, not by the server's name, and has a fallback.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import quote

Environ = dict[str, Any]

_PATH_SAFE = "/:@!$&'()*+,;=~-._"  # RFC 3986 §3.3, without the percent sign


def raw_target(environ: Environ) -> bytes:
    """The request target as the client sent it.

    gunicorn and werkzeug give it as RAW_URI, uWSGI and mod_wsgi as REQUEST_URI. Elsewhere
    (wsgiref, and so runserver) only the decoded path is left: it is encoded anew, and what
    the client had encoded needlessly, or %2F, is lost.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        return str(raw).encode("latin-1")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    target = quote(path.encode("latin-1"), safe=_PATH_SAFE) or "/"
    return f"{target}?{query}".encode("latin-1") if query else target.encode()


def scheme(environ: Environ) -> str:
    """How the client's connection to the server is made: http or https.

    gunicorn sets wsgi.url_scheme by X-Forwarded-Proto from peers that it trusts itself
    (`forwarded_allow_ips`); its socket tells the truth, and POOLS_TRUSTED_PROXIES decides.
    """
    sock = environ.get("gunicorn.socket")
    if sock is not None:
        return "https" if isinstance(sock, ssl.SSLSocket) else "http"
    return "https" if environ.get("wsgi.url_scheme") == "https" else "http"


def client_fd(environ: Environ) -> int | None:
    """The client's socket to watch, or None where the server hides it."""
    sock = environ.get("gunicorn.socket") or _socket_of_runserver(environ)
    return sock.fileno() if isinstance(sock, socket.socket) else None


def cut(environ: Environ) -> None:
    """Makes sure that the client's connection ends once an answer was cut short.

    WSGI servers see to it when the iteration raises. runserver ignores a ConnectionError
    and waits for the next request: its answer would be taken for the rest of this one.
    """
    sock = _socket_of_runserver(environ)
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def give_up_body(environ: Environ) -> None:
    """Has gunicorn close the connection behind the answer, instead of waiting for a body of
    which nobody can tell where it ends."""
    source: Any = environ.get("wsgi.input")
    if hasattr(source, "failed"):
        source.failed = True


def _socket_of_runserver(environ: Environ) -> socket.socket | None:
    """What Django's LimitedStream reads, which reads a buffer, which reads the socket."""
    read = getattr(environ.get("wsgi.input"), "_read", None)
    raw = getattr(getattr(read, "__self__", None), "raw", None)
    sock = getattr(raw, "_sock", None)
    return sock if isinstance(sock, socket.socket) else None
