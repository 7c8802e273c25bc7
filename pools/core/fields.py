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
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")  # underscores occur in container names
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")  # RFC 9110 §5.5
_TARGET = re.compile(r"/[!-\"$-~]*")
_STATUSES = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\r\n\t ]+-----END CERTIFICATE-----")

DAY_S = 86_400.0
UNIX = "unix:"
UNIX_PATH_BYTES = 107  # sun_path of Linux is 108, with a final NUL
PROBED_BYTES = 1_048_576  # the most that a probe reads of an answer

_ESCAPE = re.compile(r"(\\(?:x[0-9a-fA-F]{2}|x|.)?)", re.DOTALL)
_ESCAPED = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

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


def text_of_int(value: Any) -> Any:
    """YAML reads `200` as a number where `200-399` is text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


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


def probe_text(value: str) -> str:
    if len(value.encode("utf-8", "surrogatepass")) > PROBED_BYTES:
        raise ValueError(f"too long: a probe reads at most {PROBED_BYTES} bytes of an answer")
    return value


def probe_bytes(value: int) -> int:
    if not 1 <= value <= PROBED_BYTES:
        raise ValueError(f"{value} is not a number of bytes to read: use 1 to {PROBED_BYTES}")
    return value


def json_path(value: str) -> str:
    """ "checks.0.status": names of objects and indexes of lists, joined by dots."""
    if value and not all(value.split(".")):
        raise ValueError(f"{value!r} has an empty step: join names by single dots")
    return value


def escaped(value: str) -> str:
    unescaped(probe_text(value))
    return value


def unescaped(value: str) -> bytes:
    r"""The bytes that a text with the escapes \r \n \t \0 \\ and \xHH stands for; the rest is
    UTF-8."""
    found = bytearray()
    for piece in _ESCAPE.split(value):
        if not piece.startswith("\\"):
            found += piece.encode()
        elif piece[1:2] == "x" and len(piece) == 4:
            found += bytes.fromhex(piece[2:])
        elif len(piece) == 2 and piece[1] in _ESCAPED:
            found += _ESCAPED[piece[1]]
        else:
            raise ValueError(
                rf"{piece!r} is no escape: use \r \n \t \0 \\ or \x and two digits"
            )
    return bytes(found)


def status_ranges(value: str) -> tuple[tuple[int, int], ...]:
    """ "200-399,418" as inclusive ranges: ((200, 399), (418, 418))."""
    ranges = []
    for item in value.replace(" ", "").split(","):
        found = _STATUSES.fullmatch(item)
        low = int(found[1]) if found else 0
        high = int(found[2] or low) if found else 0
        if not found or low > high:
            raise ValueError(
                f"{item!r} is not a status or range: use statuses such as 200-399,418"
            )
        ranges.append((low, high))
    return tuple(ranges)


def statuses(value: str) -> str:
    return ",".join(
        f"{low}" if low == high else f"{low}-{high}" for low, high in status_ranges(value)
    )


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
