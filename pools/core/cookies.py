"""Cookies of a request (RFC 6265 §4.2), without re-serialising what passes on.

Pairs end at a semicolon. Some servers join repeated Cookie fields with a comma (CGI and
WSGI have one value for each name), so a comma that another pair follows ends one too.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pools.core.request import Headers

_SEPARATOR = re.compile(rb"(;|,(?=[ \t]*[^\s;,=]+[ \t]*=))")


def find(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first cookie of this name, as it came; None: there is none.

    The first, as user agents put the one with the longest path there.
    """
    for field, value in headers:
        # A substring test first: most requests carry cookies, few carry this one.
        if field == b"cookie" and name in value:
            for pair in _SEPARATOR.split(value)[::2]:
                key, _, found = pair.partition(b"=")
                if key.strip() == name:
                    return found.strip()
    return None


def strip(value: bytes, names: Collection[bytes]) -> bytes | None:
    """A Cookie field's value without the cookies of these names; None: nothing is left.

    What stays, stays byte for byte.
    """
    if not _may_name(value, names):
        return value
    first, *others = _SEPARATOR.split(value)
    pairs = [(b"", first), *zip(others[::2], others[1::2], strict=True)]
    kept = [separator + pair for separator, pair in pairs if name_of(pair) not in names]
    if len(kept) == len(pairs):
        return value
    return b"".join(kept).lstrip(b";, \t").rstrip() or None


def sets(value: bytes, names: Collection[bytes]) -> bool:
    """Whether a Set-Cookie field's value sets a cookie of these names."""
    return _may_name(value, names) and name_set(value) in names


def _may_name(value: bytes, names: Collection[bytes]) -> bool:
    """False: none of the names occurs. A substring test, which is quick, goes first."""
    for name in names:  # noqa: SIM110 - a generator would cost more than the tests
        if name in value:
            return True
    return False


def name_of(pair: bytes) -> bytes:
    """The name in "name=value" as Django reads it: spaces beyond ASCII go too.

    Browsers keep such a space as a part of the name, so that a cookie of another name here
    would be the admin's own there.
    """
    return pair.partition(b"=")[0].decode("utf-8", "replace").strip().encode()


def name_set(value: bytes) -> bytes:
    """The name of what a Set-Cookie field's value sets.

    A cookie without a name comes back as its bare value, which may read as another's pair
    (RFC 6265bis §5.7): that one's name then.
    """
    while b"=" in value and not name_of(value):
        value = value.partition(b"=")[2]
    return name_of(value)
