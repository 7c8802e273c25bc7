"""Consistent hash: weighted rendezvous, with bounded load.

Rules:
- Each backend scores each key; the best score wins. So a backend that goes, or is not
  available, moves its own keys alone, in proportion to the weights of the others, and a
  new one takes its share from all (Thaler and Ravishankar; weighted by Schindelhauer and
  Schomaker).
- The score is the same in all processes and runs: it depends on the key, the backend's
  address and its weight.
- A balance factor bounds what a popular key can do to its backend: who holds more than
  that percentage of its fair share of the requests in flight is passed over for the next
  best score (Mirrokni et al.; HAProxy `hash-balance-factor`).
- A request without the header or cookie to hash is hashed by its client's address.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from random import Random
from typing import ClassVar

from pools.core import cookies, document
from pools.core.balancers.base import C
from pools.core.document import HashOn
from pools.core.request import RequestHead

_MASK = 2**64 - 1


class ConsistentHash:
    """The same key to the same backend, as long as that is available."""

    # Scaled weights would move keys twice: to the new backend bit by bit, at each step.
    slow_start: ClassVar[bool] = False

    def __init__(self, pool: document.Pool) -> None:
        self._on = pool.hash.on
        cookie = self._on is HashOn.COOKIE
        self._name = (pool.hash.name if cookie else pool.hash.name.lower()).encode()
        self._factor = pool.hash.balance_factor / 100

    def select(self, candidates: Sequence[C], head: RequestHead, random: Random) -> C:
        key = stable_hash(self.key(head))
        if not self._factor:
            return min(candidates, key=lambda candidate: _cost(key, candidate))
        load = sum([candidate.in_flight for candidate in candidates]) + 1
        share = self._factor * load / sum([candidate.weight for candidate in candidates])
        # Never empty: the shares add up to more than what is in flight.
        allowed = [
            candidate
            for candidate in candidates
            if candidate.in_flight < math.ceil(share * candidate.weight)
        ]
        return min(allowed, key=lambda candidate: _cost(key, candidate))

    def key(self, head: RequestHead) -> bytes:
        """What the request is hashed by."""
        found: bytes | None = None
        if self._on is HashOn.PATH:
            found = head.path
        elif self._on is HashOn.HEADER:
            found = next((value for name, value in head.headers if name == self._name), None)
        elif self._on is HashOn.COOKIE:
            found = cookies.find(head.headers, self._name)
        return found or head.client.encode()


def stable_hash(data: bytes) -> int:
    """64 bits, the same in every process; Python's own hash of bytes is not."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def _cost(key: int, candidate: C) -> float:
    """An exponential variate with the weight as its rate: the least one has the key."""
    # Both are hashes already; murmur3's finaliser mixes them at a fifth of another's cost.
    mixed = key ^ candidate.seed
    mixed = (mixed ^ mixed >> 33) * 0xFF51AFD7ED558CCD & _MASK
    mixed = (mixed ^ mixed >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return -math.log(((mixed ^ mixed >> 33) + 0.5) / 2**64) / candidate.weight
