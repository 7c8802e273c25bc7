"""Values of probes: what is sent, what is expected, each checked and canonical (see fields)."""

from __future__ import annotations

import re
from typing import Any

PROBED_BYTES = 1_048_576  # the most that a probe reads of an answer

_STATUSES = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_ESCAPE = re.compile(r"(\\(?:x[0-9a-fA-F]{2}|x|.)?)", re.DOTALL)
_ESCAPED = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


def text_of_int(value: Any) -> Any:
    """YAML reads `200` as a number where `200-399` is text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


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
