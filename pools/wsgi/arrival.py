"""A request as the WSGI server gives it, made into what the core needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from pools import site
from pools.core.headers import HeaderRules, Origin, Pairs
from pools.core.request import RequestHead
from pools.core.target import parse_asked, parse_length
from pools.wire.errors import Refused
from pools.wsgi import servers
from pools.wsgi.servers import Environ

# Header fields that gunicorn takes as commands to itself from peers that it trusts
# (`forwarder_headers`), although their names have an underscore.
_COMMANDS = frozenset({"HTTP_SCRIPT_NAME", "HTTP_PATH_INFO"})


@dataclass(slots=True, kw_only=True)
class Arrival:
    """A request that came.

    `query` holds its question mark. `host` is the authority that the client asked for, b""
    when an HTTP/1.0 request named none. `version` is its HTTP version, b"1.1".
    Names in `head.headers` are lower case; repeated fields were joined with commas by the
    server, as WSGI has it.
    """

    environ: Environ
    head: RequestHead
    origin: Origin
    query: bytes
    host: bytes
    version: bytes


@cache
def header_rules() -> HeaderRules:
    """The header rules by the project's settings, which do not change while it runs."""
    return site.header_rules()


def receive(environ: Environ) -> Arrival:
    """Reads a request's head; raises Refused for one that must not be served."""
    method = environ["REQUEST_METHOD"].encode("latin-1")
    if method == b"CONNECT":
        raise Refused(405, "CONNECT is not served")
    version = environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/").encode()
    headers = _headers(environ)
    said = environ.get("HTTP_HOST")
    length = environ.get("CONTENT_LENGTH")
    try:
        if length:  # "": there is none (PEP 3333)
            _check_length(environ, length)
        target, host, name = parse_asked(
            servers.raw_target(environ),
            None if said is None else said.encode("latin-1"),
            method=method,
            version=version.decode(),
        )
    except ValueError as error:
        raise Refused(400, str(error)) from None
    origin = header_rules().origin(
        peer=environ.get("REMOTE_ADDR", ""),
        scheme=servers.scheme(environ),
        host=host,
        headers=headers,
    )
    return Arrival(
        environ=environ,
        head=RequestHead(method, name, target.path, headers, origin.client),
        origin=origin,
        query=target.query,
        host=host,
        version=version,
    )


def _check_length(environ: Environ, length: str) -> None:
    try:
        parse_length(length.encode("latin-1"))
    except ValueError:
        servers.give_up_body(environ)
        raise


def _headers(environ: Environ) -> Pairs:
    headers = [
        (_wire_name(key), value.encode("latin-1"))
        for key, value in environ.items()
        if key.startswith("HTTP_") and key not in _COMMANDS
    ]
    if content_type := environ.get("CONTENT_TYPE"):
        headers.append((b"content-type", content_type.encode("latin-1")))
    # wsgiref hands folded lines on; gunicorn refuses them and every control character.
    if any(b"\n" in value or b"\r" in value or b"\0" in value for _, value in headers):
        raise Refused(400, "a header field holds a line break")
    return headers


@lru_cache(maxsize=1024)
def _wire_name(key: str) -> bytes:
    """HTTP_X_FORWARDED_FOR to x-forwarded-for."""
    return key[5:].replace("_", "-").lower().encode("latin-1")
