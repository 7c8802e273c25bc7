"""Cookies of a request (RFC 6265 §4.2), without re-serialising what passes on."""

from __future__ import annotations

from collections.abc import Container

from pools.core.request import Headers


def find(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first cookie of this name, as it came; None: there is none.

    The first, as user agents put the one with the longest path there.
    """
    for field, value in headers:
        # A substring test first: most requests carry cookies, few carry this one.
        if field == b"cookie" and name in value:
            for pair in value.split(b";"):
                key, _, found = pair.partition(b"=")
                if key.strip() == name:
                    return found.strip()
    return None


def strip(value: bytes, names: Container[bytes]) -> bytes | None:
    """A Cookie field's value without the cookies of these names; None: nothing is left.

    What stays, stays byte for byte.
    """
    pairs = value.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    if len(kept) == len(pairs):
        return value
    return b";".join(kept).strip() or None
