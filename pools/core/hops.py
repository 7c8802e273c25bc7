"""What proxies say to each other of where a request came from: addresses, hosts, elements.

All of it is written by others, so that what cannot be what it says it is reads as nothing.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from pools.core.target import parse_authority

_MAX_HOP = 64  # of an element: an IPv6 address with its scope, brackets and port
_PORT = {"http": b"80", "https": b"443"}

Pairs = list[tuple[bytes, bytes]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address(text: str) -> Address | None:
    """The address that a text is; None: it is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack listener shows 10.0.0.1 as ::ffff:10.0.0.1.
    return getattr(found, "ipv4_mapped", None) or found


def first_host(value: bytes) -> bytes:
    """The first host of X-Forwarded-Host; b"" where it is none."""
    first = value.partition(b",")[0].strip()
    try:
        return parse_authority(first).raw
    except ValueError:
        return b""


def hop_address(text: str) -> str | None:
    """The address of one X-Forwarded-For element; some proxies add the port."""
    return _hop_address(text) if len(text) <= _MAX_HOP else None


# Clients come back, and parsing an address takes longer than all else about a hop.
@lru_cache(maxsize=4096)
def _hop_address(text: str) -> str | None:
    bracketed, _, rest = text.removeprefix("[").partition("]")
    if text.startswith("[") and (not rest or rest.startswith(":")):
        text = bracketed
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return None if (found := address(text)) is None else str(found)


def forwarded(peer: str, scheme: str, host: bytes) -> bytes:
    """One element of Forwarded (RFC 7239 §4, §6)."""
    node = f'"[{peer}]"' if ":" in peer else peer or "unknown"
    parts = [f"for={node}", f"proto={scheme}"]
    if host:
        parts.insert(1, f'host="{host.decode("latin-1")}"')
    return ";".join(parts).encode("latin-1")


def asked_for(scheme: str, host: bytes, prefix: bytes) -> Pairs:
    """The fields that say what a client asked for, the same for every client."""
    fields = [(b"x-forwarded-proto", scheme.encode())]
    if host:
        port = host.rpartition(b":")[2]
        fields.append((b"x-forwarded-host", host))
        fields.append((b"x-forwarded-port", port if port.isdigit() else _PORT[scheme]))
    if prefix:
        fields.append((b"x-forwarded-prefix", prefix))
    return fields


def continued(said: Pairs, ours: Pairs, asked: Pairs) -> Pairs:
    """What trusted peers said of a request's origin, with `ours` of the peer behind it.

    `asked` has the last word, as it holds what was said as far as it can be what it says it
    is; but ports that are numbers are believed, and prefixes nest.
    """
    fields: dict[bytes, list[bytes]] = {}
    for name, value in said:
        fields.setdefault(name, []).append(value)
    for name, value in ours:
        fields.setdefault(name, []).append(value)
    fields.pop(b"x-request-id", None)
    fields.pop(b"x-forwarded-host", None)
    ports = fields.pop(b"x-forwarded-port", ())
    for name, value in asked:
        if name == b"x-forwarded-port":
            value = next((port for port in ports if port.isdigit()), value)
        elif name == b"x-forwarded-prefix":
            # The outer proxy took its own away first.
            value = b"".join(fields.get(name, ())).rstrip(b"/") + value
        fields[name] = [value]
    return [(name, b", ".join(values)) for name, values in fields.items()]
