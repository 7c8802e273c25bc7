"""Load: clients that ask one thing after the other, until the test has seen enough.

with Load(address, host="killed.test") as load:
    load.wait(200)
    backend.kill()
    load.wait(200)
load.outcomes  # of every request that was begun
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

import pytest

from tests.faults import PATIENCE_S
from tests.faults.backends import Backend
from tests.faults.client import Connection, Outcome

CAP = 20_000  # requests of one load, whatever happens
PAUSE_S = 0.002  # of a client before its next request, so that others get at the processor

_numbers = itertools.count(1)


class Load:
    """So many clients, each in `turns` of methods. `again`: as Connection.ask says."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        host: str,
        clients: int = 8,
        turns: Sequence[str] = ("GET", "GET", "GET", "POST"),
        target: str = "/",
        again: bool = False,
        fresh: bool = False,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._address, self._host = address, host
        self._clients, self._turns = clients, turns
        self._target, self._again, self._fresh = target, again, fresh
        self._number = next(_numbers)
        self._begun = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Each client ends what it has begun."""
        self._stopping = True
        self._thread.join(2 * PATIENCE_S)
        assert not self._thread.is_alive()

    def wait(self, count: int, *, served_by: str = "") -> None:
        """Until so many more requests have ended, those of one backend if it is named."""

        def ended() -> int:
            return sum(not served_by or one.backend == served_by for one in self.outcomes)

        until = time.monotonic() + PATIENCE_S
        with self._changed:
            enough = ended() + count
            while ended() < enough:
                left = until - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    pytest.fail(f"{ended()} of {enough} requests ended; {self.summary()}")
                self._changed.wait(left)

    def failed(self, method: str = "") -> list[str]:
        """What was not served, in words."""
        return [
            str(one) for one in self.outcomes if not one.served and method in ("", one.method)
        ]

    def statuses(self, method: str = "") -> set[int]:
        return {one.status for one in self.outcomes if method in ("", one.method)}

    def summary(self) -> dict[str, int]:
        return dict(
            Counter(f"{one.method} {one.status} {one.why}".strip() for one in self.outcomes)
        )

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(self._clients)))

    async def _client(self, number: int) -> None:
        connection = Connection(self._address, self._host)
        for turn in itertools.count(number):  # not all the same at the same time
            method = self._turns[turn % len(self._turns)]
            if self._stopping or self._begun >= CAP:
                break
            self._begun += 1
            outcome = Outcome(f"{self._number}-{number}-{self._begun}", method)
            await connection.ask(outcome, self._target, again=self._again)
            if self._fresh:
                connection.close()
            with self._changed:
                self.outcomes.append(outcome)
                self._changed.notify_all()
            await asyncio.sleep(PAUSE_S)
        connection.close()


def adds_up(load: Load, backends: Collection[Backend]) -> None:
    """Whatever was done to it: the counts of clients and of backends agree.

    - Each answer that names a backend was asked of that backend.
    - No POST came to two backends, or twice to one.
    - What backends got, a client sent.
    """
    got = {backend.name: backend.got() for backend in backends}
    sent = {(one.method, one.request_id): one for one in load.outcomes}
    assert len(sent) == len(load.outcomes) == load._begun
    came = arrivals(backends)
    prefix = f"{load._number}-"
    assert {key for key in came if key[1].startswith(prefix)} <= set(sent)
    for key, one in sent.items():
        if one.backend:
            assert got[one.backend][key], f"{one} was not asked of {one.backend}"
        if one.method == "POST":
            assert came[key] <= 1, f"{one} came {came[key]} times"


def arrivals(backends: Collection[Backend]) -> Counter[tuple[str, str]]:
    """How often each request came to any of them, by method and id."""
    return sum((backend.got() for backend in backends), start=Counter())
