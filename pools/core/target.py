"""Request targets and Host fields, read strictly and kept as they came (RFC 9112 §3.2).

Rules:
- Path and query stay byte for byte; nothing is decoded, merged or resolved.
- The authority of an absolute-form target replaces Host.
- What can be read two ways is refused: ValueError, which a data plane answers with 400.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

# Narrower than RFC 3986 reg-name: no name in use has sub-delims or percent-encoding,
# and backends have been fooled by both.
_AUTHORITY = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)
_ALLOWED = bytes({*range(0x21, 0x7F)} - {ord("#")})  # visible ASCII


# RFC 1035 §2.3.4. It bounds what is kept by host, too.
MAX_HOST = 255


@dataclass(frozen=True, slots=True)
class Authority:
    """`host` as routes compare it (RequestHead.host); `port` None: not given."""

    raw: bytes
    host: str
    port: int | None


@dataclass(slots=True)
class Target:
    """Made for each request, and so not frozen (request.py).

    `authority` is that of an absolute-form target, else None. `path` is b"*" for
    asterisk-form. `query` holds its question mark, or is empty."""

    authority: bytes | None
    path: bytes
    query: bytes


@lru_cache(maxsize=1024)
def parse_authority(value: bytes) -> Authority:
    """The parts of a Host field's value; ValueError where it is not one."""
    found = _AUTHORITY.fullmatch(value)
    if not found:
        raise ValueError("the Host is not a host name or address")
    name = found[1].decode("ascii").lower()
    port = int(found[2]) if found[2] else None
    if port is not None and port > 65_535:
        raise ValueError("the Host's port is above 65535")
    if name.startswith("["):
        name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
    else:
        name = name.removesuffix(".")
        if not name:
            raise ValueError("the Host is empty")
        if len(name) > MAX_HOST:
            raise ValueError("the Host is longer than any name")
    return Authority(value, name, port)


def parse_target(value: bytes) -> Target:
    """The parts of an origin-, absolute- or asterisk-form target; ValueError otherwise."""
    authority = None
    if not value.startswith(b"/"):
        if value == b"*":
            return Target(None, value, b"")
        found = _ABSOLUTE.match(value)
        if not found or not found[1]:
            raise ValueError("the request target is neither a path nor an http URL")
        authority, value = found[1], value[found.end() :]
        if not value.startswith(b"/"):
            value = b"/" + value
    if value.translate(None, _ALLOWED):
        raise ValueError("the request target holds a character that has to be encoded")
    path, mark, query = value.partition(b"?")
    return Target(authority, path, mark + query)
