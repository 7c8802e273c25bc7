"""The PROXY protocol, versions 1 and 2: who the client is, as a balancer before us tells it.

Rules (HAProxy's specification, https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt):
- UNKNOWN, LOCAL and other families than TCP's say nothing of the client: it is the peer.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

V1_MOST_BYTES = 107
V2_MOST_BYTES = 4096  # with TLVs; nginx's bound

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
    if not size and family not in _OTHERS and command == _PROXIED:
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
