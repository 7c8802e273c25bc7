"""The ids of requests: 32 hexadecimal digits, of which no two processes make the same."""

from __future__ import annotations

import os
from binascii import hexlify
from random import Random

# Not secret, so that they need not cost a call of the system each.
_random = Random()
# Workers are forked: each goes its own way from there.
os.register_at_fork(after_in_child=_random.seed)


def make_id() -> bytes:
    return hexlify(_random.getrandbits(128).to_bytes(16, "big"))
