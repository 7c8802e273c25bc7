"""The prober of a worker: claimed rounds are probed in a loop, and recorded in a thread.

Rules:
- Probes are coroutines of one event loop in a thread of its own: a thousand that hang cost
  a thousand sockets and hardly any time.
- Results are written in batches by another thread, so that a slow database holds up no
  probe, and a flip is in force at once.
- A failure that spans a stall of this process (stopped, starved, asleep) may be ours: the
  backend is asked once more before it counts. What failed for lack of files or memory here
  counts for nothing.
- Who waits for a turn until its claim runs out is not asked: whoever claims its pool next
  asks, and what waits does not grow for ever where there is too much to ask.
- What is under way when a worker ends is dropped; who claims the pool next asks again.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from datetime import datetime

import uvloop
from django.db import Error, connections

from pools.control import clock
from pools.health import recording, rounds
from pools.health.figures import Figures
from pools.health.history import Buckets
from pools.health.probes import Asker, Result
from pools.health.rounds import Job, Round
from pools.outage import Outage

logger = logging.getLogger("pools.health")

BEAT_S = 0.1
STALL_S = 0.5  # between two beats of the loop
BATCH = 500  # results in one transaction
GATHER_S = 0.05  # for more results that can be written with the first one
STOP_S = 5.0
LACKED_S = 10.0  # what was lacking so lately is not said to be there again


# What a probe found, None: it could not be made; or a round of no probes.
_Item = tuple[Job, Result | None] | Round


class Prober:
    """Probes what it is given, up to `concurrency` backends at a time."""

    def __init__(self, *, concurrency: int) -> None:
        self.figures = Figures()
        self._concurrency = concurrency
        self._loop = uvloop.new_event_loop()
        self._asker = Asker(self._loop)
        # Of the loop's thread.
        self._asking: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[Job, float, float]] = deque()
        self._ending = False
        self._lacked_at = float("-inf")
        self._beat_at = 0.0
        self._stalled_at = 0.0
        # Of the recorder's.
        self._found: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._buckets = Buckets()
        self._outage = Outage(
            logger,
            begun="what probes find is not kept, the database is away",
            over="what probes find is kept again",
        )
        self._lack = Outage(
            logger,
            begun="backends cannot be probed for what this process lacks",
            over="backends can be probed again",
        )
        self._open = 0  # rounds
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, name="pools-probe", daemon=True),
            threading.Thread(target=self._record, name="pools-record", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def take(self, claimed: Collection[Round], now: datetime) -> None:
        """Probe these rounds, each when it is due. From any thread."""
        with self._changed:
            self._open += len(claimed)
        self._loop.call_soon_threadsafe(self._begin, claimed, now)

    def wait(self) -> None:
        """Until every round that was taken has ended and is recorded."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open)

    def stop(self) -> None:
        """Drop what is under way; what was found is recorded."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(STOP_S)

    # --- the loop's thread -------------------------------------------------------------

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        self._beat_at = loop.time()
        loop.call_soon(self._beat)
        try:
            loop.run_forever()
            loop.run_until_complete(self._drop())
        finally:
            loop.close()
            self._found.put(None)

    async def _drop(self) -> None:
        self._ending = True
        self._waiting.clear()
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def _beat(self) -> None:
        now = self._loop.time()
        if now - self._beat_at > BEAT_S + STALL_S:
            self._stalled_at = now
        self._beat_at = now
        self._loop.call_later(BEAT_S, self._beat)

    def _begin(self, claimed: Iterable[Round], now: datetime) -> None:
        loop_now = self._loop.time()
        for round_ in claimed:
            if not round_.jobs:
                self._found.put(round_)
            begin_at = loop_now + max(0.0, (round_.at - now).total_seconds())
            until = begin_at + (round_.until - round_.at).total_seconds()
            step_s = round_.spread_s / max(1, len(round_.jobs))
            for index, job in enumerate(round_.jobs):
                due_at = begin_at + index * step_s
                self._loop.call_at(due_at, self._launch, job, due_at, until)

    def _launch(self, job: Job, due_at: float, until: float) -> None:
        if self._ending:
            return
        if len(self._asking) >= self._concurrency:
            self._waiting.append((job, due_at, until))
            self.figures.waiting = len(self._waiting)
            return
        self.figures.begun(job.of.late_s + self._loop.time() - due_at)
        task = self._loop.create_task(self._ask(job))
        self._asking.add(task)
        self.figures.in_flight = len(self._asking)
        task.add_done_callback(self._asked)

    async def _ask(self, job: Job) -> None:
        result = None
        begun = self._loop.time()
        try:
            result = await self._asker.ask(job.of.pool, job.spec)
            if result.ours or (not result.ok and self._stalled_at > begun):
                self.figures.asked_again += 1
                result = await self._asker.ask(job.of.pool, job.spec)
            self.figures.ended(result.ok)
        except Exception:
            logger.exception("%s could not be probed", job.key)
        if result is not None and result.ours:
            self._lacks(job, result.reason)
            result = None
        elif result is not None and self._loop.time() - self._lacked_at >= LACKED_S:
            self._lack.over()
        self._found.put((job, result))

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        while self._waiting and len(self._asking) < self._concurrency:
            job, due_at, until = self._waiting.popleft()
            if self._loop.time() < until:
                self._launch(job, due_at, until)
            else:
                self._lacks(job, "its turn did not come in time (POOLS_PROBE_CONCURRENCY)")
                self._found.put((job, None))
        self.figures.waiting = len(self._waiting)
        self.figures.in_flight = len(self._asking)

    def _lacks(self, job: Job, why: str) -> None:
        self._lacked_at = self._loop.time()
        self._lack.begins(OSError(f"{job.key}: {why}"))

    # --- the recorder's thread ---------------------------------------------------------

    def _record(self) -> None:
        try:
            ended = False
            while not ended:
                found, finished, ended = self._gathered()
                try:
                    now = clock.now()
                    self._buckets.turn(now)
                    recording.record(found, now)
                    if finished:
                        rounds.end(finished, now)
                    if ended:
                        self._buckets.write()
                except Error as error:
                    # Dropped: their pools' claims run out, and they are probed again.
                    _lost(found)
                    self._outage.begins(error)
                    connections.close_all()
                except Exception:
                    _lost(found)
                    logger.exception("what probes found could not be kept")
                else:
                    self._outage.over()
                with self._changed:
                    self._open -= len(finished)
                    self._changed.notify_all()
        finally:
            connections.close_all()

    def _gathered(self) -> tuple[list[tuple[Job, Result]], list[Round], bool]:
        """The next results and the rounds that they end; and whether none will follow."""
        found: list[tuple[Job, Result]] = []
        finished: list[Round] = []
        item = self._found.get()
        time.sleep(GATHER_S)
        while item is not None:
            if isinstance(item, Round):
                finished.append(item)
            else:
                job, result = item
                if result is None:
                    job.of.unmade = True
                else:
                    found.append((job, result))
                    self._buckets.add(job.pk, result)
                job.of.left -= 1
                if not job.of.left:
                    finished.append(job.of)
            if len(found) >= BATCH:
                return found, finished, False
            try:
                item = self._found.get_nowait()
            except queue.Empty:
                return found, finished, False
        return found, finished, True


def _lost(found: Iterable[tuple[Job, Result]]) -> None:
    """What is left of their rounds is kept, but makes no news of the verdicts."""
    for job, _ in found:
        job.of.unmade = True
