"""Request targets, Host fields and lengths, read strictly and kept as they came (RFC 9112
§3.2, §6.2). Every data plane reads them by this.

Rules:
- Path and query stay byte for byte; nothing is decoded, merged or resolved.
- The authority of an absolute-form target replaces Host, but stands in for none that is
  missing or malformed: only HTTP/1.0 may do without.
- What can be read two ways is refused: ValueError, which a data plane answers with 400.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Narrower than RFC 3986 reg-name: no name in use has sub-delims or percent-encoding,
# and backends have been fooled by both.
_AUTHORITY: Final = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)
_ALLOWED: Final = bytes({*range(0x21, 0x7F)} - {ord("#")})  # visible ASCII


# RFC 1035 §2.3.4. It bounds what is kept by host, too.
MAX_HOST: Final = 255
# Fits 64 bits in whatever reads it next.
MAX_LENGTH_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Authority:
    """`host` as routes compare it (RequestHead.host); `port` None: not given."""

    raw: bytes
    host: str
    port: int | None


class Target:
    """`authority` is that of an absolute-form target, else None. `path` is b"*" for
    asterisk-form. `query` holds its question mark, or is empty. Plain as request.py says."""

    __slots__ = ("authority", "path", "query")

    def __init__(self, authority: bytes | None, path: bytes, query: bytes) -> None:
        self.authority = authority
        self.path = path
        self.query = query


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


def parse_asked(
    value: bytes, said: bytes | None, *, method: bytes, version: str
) -> tuple[Target, bytes, str]:
    """What a request asks for, by its target and its Host (None: there is none): the target,
    the authority as it came, and its RequestHead.host; b"" and "" when an HTTP/1.0 request
    named none. `version` is "1.0" or "1.1". ValueError where it must not be served."""
    target = parse_target(value)
    if target.path == b"*" and method != b"OPTIONS":
        raise ValueError("* is a target for OPTIONS alone")
    if said is None:
        if version != "1.0":
            raise ValueError("there is no Host")
        if target.authority is None:
            return target, b"", ""
    name = parse_authority(said).host if said is not None else ""
    if target.authority is None:
        return target, said or b"", name
    return target, target.authority, parse_authority(target.authority).host


def parse_length(value: bytes) -> int:
    """A Content-Length; ValueError where it is not one that every reader counts alike."""
    if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
        raise ValueError("the Content-Length is not a number")
    return int(value)
