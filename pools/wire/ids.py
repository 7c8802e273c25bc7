"""The ids of requests: 32 hexadecimal digits, of which no two processes make the same."""

from __future__ import annotations

import os
from binascii import hexlify
from collections.abc import Iterator

MADE_AT_ONCE = 256  # so that an id need not cost a call of the system
_DIGITS = 32

_made: Iterator[bytes] = iter(())


def make_id() -> bytes:
    """A new one. Thread-safe: taking the next of an iterator is one step."""
    global _made
    found = next(_made, None)
    if found is None:
        digits = hexlify(os.urandom(MADE_AT_ONCE * _DIGITS // 2))
        ids = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
        found = ids.pop()
        _made = iter(ids)
    return found


def _forget() -> None:
    global _made
    _made = iter(())


# Workers are forked: each makes its own from there.
os.register_at_fork(after_in_child=_forget)
