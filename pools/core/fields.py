"""Checks of single values of a document.

Each takes a value of the right type and returns its canonical form, or raises
ValueError with one line that quotes the value and says the mend.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import ValidationInfo

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TAG = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")  # underscores occur in container names
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")  # RFC 9110 §5.5
_TARGET = re.compile(r"/[!-\"$-~]*")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\r\n\t ]+-----END CERTIFICATE-----")

DAY_S = 86_400.0
MOST_TAGS = 20
UNIX = "unix:"
UNIX_PATH_BYTES = 107  # sun_path of Linux is 108, with a final NUL

# Framing and hop-by-hop fields are the proxy's own; Host has its mode.
RESERVED_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a name: use 1 to 63 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit"
        )
    return value


def tags(values: tuple[str, ...]) -> tuple[str, ...]:
    """Each once; they say what things belong together, and nothing is routed by them."""
    for value in values:
        if not _TAG.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a tag: use 1 to 32 lower case letters, digits, '.', '_' "
                "or '-', beginning with a letter or digit"
            )
    found = tuple(dict.fromkeys(values))
    if len(found) > MOST_TAGS:
        raise ValueError(f"{len(found)} tags are too many: use {MOST_TAGS} at most")
    return found


def port(value: int) -> int:
    if not 1 <= value <= 65_535:
        raise ValueError(f"{value} is not a port: use 1 to 65535")
    return value


def port_or_zero(value: int) -> int:
    return value if value == 0 else port(value)


def backend_port(value: int, info: ValidationInfo) -> int:
    """A port, or 0 with a host that is a Unix socket; `info` has the host, if it is good."""
    host = info.data.get("host")
    if host is None:
        return port_or_zero(value)
    if unix_path(host):
        if value:
            raise ValueError(f"{value} with a Unix socket, which has no port: remove it")
        return value
    if not value:
        raise ValueError("is missing: give a port, 1 to 65535")
    return port(value)


def weight(value: int) -> int:
    if not 0 <= value <= 256:
        raise ValueError(f"{value} is not a weight: use 0 to 256")
    return value


def not_negative(value: int) -> int:
    if not 0 <= value < 2**31:
        raise ValueError(f"{value} is out of range: use 0 to 2147483647")
    return value


def max_bytes(value: int) -> int:
    if not 0 <= value < 2**63:
        raise ValueError(f"{value} is out of range: use 0 to 9223372036854775807")
    return value


def positive(value: int) -> int:
    if not 1 <= value <= 1_000:
        raise ValueError(f"{value} is out of range: use 1 to 1000")
    return value


def attempts(value: int) -> int:
    if not 1 <= value <= 10:
        raise ValueError(f"{value} attempts: use 1 to 10")
    return value


def percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError(f"{value} is not a percentage: use 0 to 100")
    return value


def balance_factor(value: int) -> int:
    if value != 0 and not 101 <= value <= 1_000:
        raise ValueError(f"{value} is not a balance factor: use 101 to 1000, or 0 for none")
    return value


def seconds(value: float) -> float:
    if not (math.isfinite(value) and 0.001 <= value <= DAY_S):
        raise ValueError(f"{value:g} is not a time in seconds: use 0.001 to 86400")
    return value


def seconds_or_zero(value: float) -> float:
    return value if value == 0 else seconds(value)


def interval(value: float) -> float:
    if not (math.isfinite(value) and 1 <= value <= DAY_S):
        raise ValueError(f"{value:g} is not an interval in seconds: use 1 to 86400")
    return value


def interval_or_zero(value: float) -> float:
    return value if value == 0 else interval(value)


def token(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a name on the wire: use letters, digits and !#$%&'*+.^_`|~-"
        )
    return value


def token_or_empty(value: str) -> str:
    return value and token(value)


def method(value: str) -> str:
    token(value)
    if value.upper() == "CONNECT":
        raise ValueError("CONNECT is never forwarded: remove it")
    return value.upper()


def methods(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(method(value) for value in values))


def upgrades(values: tuple[str, ...]) -> tuple[str, ...]:
    """Protocols of the Upgrade field, lower case."""
    return tuple(dict.fromkeys(_upgrade(value) for value in values))


def _upgrade(value: str) -> str:
    token(value)
    # HTTP in a tunnel would pass by the routes (h2c smuggling).
    if value.lower() in ("h2", "h2c", "http"):
        raise ValueError(f"{value} is HTTP, which would pass by all routes: remove it")
    return value.lower()


def header_name(value: str) -> str:
    return token(value)


def header_value(value: str) -> str:
    if not _VALUE.fullmatch(value) or value != value.strip():
        raise ValueError(
            f"{value!r} is not a header value: no control characters, no space at either end"
        )
    return value


def _editable_header(value: str) -> str:
    token(value)
    if value.lower() in RESERVED_HEADERS:
        raise ValueError(f"{value} is set by the proxy itself: remove it here")
    return value


def header_set(values: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    seen: set[str] = set()
    for key, value in values:
        _editable_header(key)
        header_value(value)
        if key.lower() in seen:
            raise ValueError(f"{key} is set twice: keep one")
        seen.add(key.lower())
    return values


def header_remove(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_editable_header(value) for value in values))


def pairs_of_mapping(value: Any) -> Any:
    """A file's mapping as pairs; anything else goes on to the type check."""
    return tuple(value.items()) if isinstance(value, Mapping) else value


def hostname(value: str) -> str:
    """Lower case, without a final dot, IDNA-encoded."""
    text = value.rstrip(".").lower()
    if not text.isascii():
        try:
            text = text.encode("idna").decode()
        except UnicodeError as error:
            raise ValueError(f"{value!r} is not a host name: {error}") from None
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError(
            f"{value!r} is not a host name: use a name such as app.example.com, without "
            "scheme, port or path"
        )
    return text


def hostname_or_empty(value: str) -> str:
    return value and hostname(value)


def backend_host(value: str) -> str:
    """`unix:` and the path of a socket, or what `host` takes; canonical."""
    if not value.startswith(UNIX):
        return host(value)
    path = re.sub("/+", "/", unix_path(value))
    if not path.startswith("/"):
        raise ValueError(f"{value!r} is not the whole path to a socket: begin it with {UNIX}/")
    if path.endswith("/"):
        raise ValueError(f"{value!r} is a directory: name the socket in it")
    if " " in path or not path.isprintable():
        raise ValueError(f"{value!r} has a space or control character: use another path")
    if len(path.encode()) > UNIX_PATH_BYTES:
        raise ValueError(
            f"{value!r} is too long for a Unix socket: {UNIX_PATH_BYTES} bytes at most, "
            f"not {len(path.encode())}"
        )
    return UNIX + path


def unix_path(host: str) -> str:
    """The path of a backend's Unix socket; "": its host is a name or an IP address."""
    return host.removeprefix(UNIX) if host.startswith(UNIX) else ""


def host(value: str) -> str:
    """A host name or an IP address, IPv6 without brackets; canonical."""
    try:
        return ipaddress.ip_address(value.strip("[]")).compressed
    except ValueError:
        pass
    if re.fullmatch(r"[\d.]+", value):
        raise ValueError(f"{value!r} is not an IP address: use four numbers of 0 to 255")
    return hostname(value)


def host_port(host: str, port: int) -> str:
    """host:port, with an IPv6 host in brackets; unix:/path as it is."""
    if unix_path(host):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_header_or_empty(value: str) -> str:
    """host or host:port, as a Host field carries it."""
    if not value:
        return value
    bracketed = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\])(?::(\d+))?", value)
    plain = re.fullmatch(r"([^:\[\]]+)(?::(\d+))?", value)
    found = bracketed or plain
    if not found:
        raise ValueError(f"{value!r} is not a Host: use name, or name:port")
    name = f"[{host(found[1])}]" if bracketed else host(found[1])
    return f"{name}:{port(int(found[2]))}" if found[2] else name


def route_hosts(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_route_host(value) for value in values))


def _route_host(value: str) -> str:
    """An exact name or address, or `*.` and a name: any host below it."""
    if value in ("", "*"):
        raise ValueError("for any host leave the list of hosts empty")
    if value.startswith("*."):
        return "*." + hostname(value[2:])
    if "*" in value:
        raise ValueError(f"{value!r}: a wildcard is '*.' and a name, such as *.example.com")
    found = host(value)
    return f"[{found}]" if ":" in found else found


def path_prefix(value: str) -> str:
    """A path on a segment boundary: `/api/` is `/api`; text beyond ASCII is percent-encoded."""
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is not a path prefix: begin it with '/'")
    if value.endswith("/*"):
        raise ValueError(f"{value!r}: a prefix takes all that is below it, leave '*' out")
    text = value if value.isascii() else quote(value, safe="/%!$&'()*+,;=:@~")
    if not _TARGET.fullmatch(text) or "?" in text:
        raise ValueError(
            f"{value!r} is not a path prefix: no '?', '#', space or control characters"
        )
    return text.rstrip("/") or "/"


def path_prefix_or_empty(value: str) -> str:
    return value and path_prefix(value)


def target(value: str) -> str:
    """A path with its query, as a request line carries it."""
    if not _TARGET.fullmatch(value):
        raise ValueError(f"{value!r} is not a path: begin it with '/', no space or '#'")
    return value


def pem_or_empty(value: str) -> str:
    """CA certificates alone: comments between them, which TLS libraries choke on, go."""
    if not value.strip():
        return ""
    found = _PEM.findall(value)
    if not found:
        raise ValueError(
            "this is not a CA certificate in PEM: no BEGIN CERTIFICATE block in it"
        )
    if len(found) < value.count("-----BEGIN "):
        raise ValueError("not all of it is CA certificates in PEM: remove or mend the rest")
    return "".join(certificate.replace("\r", "") + "\n" for certificate in found)
