"""What a client's bytes mean, read strictly by RFC 9112: the yardstick for smuggling.

Rules:
- Whatever two readers could read in two ways ends the reading; so does what has no grammar.
- More than one blank between the parts of a request line has one meaning, and is taken (§3).
- Lines end with CRLF. Line ends before a request, of any kind, are part of none (§2.2).
- It is written for being checked by eye, not for speed, and shares no code with the gateway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(%s) +([\x21\x22\x24-\x7e\x80-\xff]+) +HTTP/1\.([01])" % _TOKEN)
_FIELD_LINE = re.compile(rb"(%s):([\t\x20-\x7e\x80-\xff]*)" % _TOKEN)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_ABSOLUTE = re.compile(rb"(?i)https?://[^/?@]+(/[^?]*)?(\?.*)?")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is what a server behind a proxy gets: no absolute form."""

    method: bytes
    target: bytes
    body: bytes


class End(Enum):
    """Why there is no further request."""

    NOTHING = "there are no more bytes"
    MORE = "a request has begun that is not whole"
    REFUSED = "what follows is malformed, or means two things"
    CLOSED = "a request asked to close the connection"


@dataclass(slots=True)
class Reading:
    """`begun`: method and target of the request that has a head, and no whole body."""

    requests: list[Request] = field(default_factory=list)
    begun: tuple[bytes, bytes] | None = None
    end: End = End.NOTHING


class _Refused(Exception):
    pass


class _More(Exception):
    pass


@dataclass(slots=True)
class _Head:
    method: bytes
    target: bytes
    minor: bytes
    fields: list[tuple[bytes, bytes]]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


def read(data: bytes) -> Reading:
    """All requests of a connection on which these bytes came."""
    reading = Reading()
    try:
        while True:
            data = data[_EMPTY_LINES.match(data).end() :]  # type: ignore[union-attr]
            if not data:
                return reading
            head, data = _head(data)
            reading.begun = head.method, head.target
            body, data = _body(head, data)
            reading.begun = None
            reading.requests.append(Request(head.method, head.target, body))
            if not _persists(head):
                reading.end = End.CLOSED
                return reading
    except _More:
        reading.end = End.MORE
    except _Refused:
        reading.end = End.REFUSED
    return reading


def _head(data: bytes) -> tuple[_Head, bytes]:
    text, found, rest = data.partition(b"\r\n\r\n")
    line, *lines = text.split(b"\r\n")
    if not found:
        raise _More
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _Refused
    method, target, minor = match.groups()
    head = _Head(method, _origin(method, target), minor, _fields(lines))
    hosts = head.all(b"host")
    if len(hosts) > 1 or (minor == b"1" and not hosts):
        raise _Refused
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise _Refused
    return head, rest


def _origin(method: bytes, target: bytes) -> bytes:
    """§3.2; CONNECT opens a tunnel, in which nothing is a request."""
    if method == b"CONNECT":
        raise _Refused
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise _Refused
    path, query = match.groups()
    return (path or (b"*" if method == b"OPTIONS" and not query else b"/")) + (query or b"")


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """§5: no folding, no space before the colon, no controls."""
    found = []
    for line in lines:
        match = _FIELD_LINE.fullmatch(line)
        if match is None:
            raise _Refused
        found.append((match[1].lower(), match[2].strip(b" \t")))
    return found


def _body(head: _Head, data: bytes) -> tuple[bytes, bytes]:
    """§6: body, and what follows it."""
    codings, lengths = head.all(b"transfer-encoding"), set(head.all(b"content-length"))
    if codings:
        chunked = len(codings) == 1 and codings[0].lower() == b"chunked"
        if lengths or head.minor == b"0" or not chunked:
            raise _Refused
        return _chunks(data)
    if not lengths:
        return b"", data
    if len(lengths) > 1 or not all(re.fullmatch(rb"[0-9]{1,18}", each) for each in lengths):
        raise _Refused
    length = int(lengths.pop())
    if len(data) < length:
        raise _More
    return data[:length], data[length:]


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    """§7.1: decoded, and what follows."""
    body = b""
    while True:
        line, data = _line(data)
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise _Refused
        size = int(match[1], 16)
        if not size:
            break
        if data[size : size + 2] not in (b"\r\n", b"\r", b""):
            raise _Refused
        if len(data) < size + 2:
            raise _More
        body += data[:size]
        data = data[size + 2 :]
    trailers = []
    while True:
        line, data = _line(data)
        if not line:
            _fields(trailers)
            return body, data
        trailers.append(line)


def _line(data: bytes) -> tuple[bytes, bytes]:
    line, found, rest = data.partition(b"\r\n")
    if not found:
        raise _More
    return line, rest


def _persists(head: _Head) -> bool:
    """§9.3."""
    said = b",".join(head.all(b"connection")).lower().split(b",")
    options = {option.strip(b" \t") for option in said}
    return b"close" not in options and (head.minor == b"1" or b"keep-alive" in options)
