"""The process's engine, kept up to date.

Rules:
- `engine()` is the one engine of a process. Its first call loads what is published and
  starts a daemon thread that looks for changes: at each wake-up, and each
  POOLS_POLL_INTERVAL_S in any case. A forked child begins anew.
- With POOLS_POLL_INTERVAL_S 0 there is no thread: each call looks for itself. That is for
  tests.
- A look is one query while nothing changes. Compiling is done here, off the requests'
  threads; a new revision is one swap of a reference.
- The database's absence never stops traffic: it goes on with what there is, or at the
  start with the last good configuration and health, and says so once. Where there are
  none, it is not `loaded`: then nobody can say which requests there is no route for.
- Its thread also tells of the process (pools.control.telling), after each look that went
  well, and writes down what it carries (pools.control.counting).
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from django.db import Error, connections
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from pools import conf
from pools.control import clock, last_good, publish, verdicts, wake
from pools.control.counting import Counting
from pools.control.processes import TURN_S
from pools.control.reports import Certificates
from pools.control.telling import Telling
from pools.core.document import Document
from pools.core.engine import Engine
from pools.core.errors import DocumentError
from pools.core.probing import Verdict
from pools.core.snapshot import compile_snapshot
from pools.models import PublishedState
from pools.models.process import ProcessKind

logger = logging.getLogger("pools.control")

FIRST_LOOK_S = 5.0  # then the first request is served by the last good file
_KEEP_HEALTH_S = 1.0  # health that turns more often is not written more often
_STOP_S = 2.0
_DATABASE = "database"  # a kind of trouble, whatever its words


def engine() -> Engine:
    """This process's engine. Thread-safe; costs nothing after the first call."""
    watcher = _watcher or _begin()
    if not watcher.interval_s:
        watcher.look()
    return watcher.engine


def loaded() -> bool:
    """Whether the engine has anything to route by: a revision, 0 too, or the file."""
    return (_watcher or _begin()).loaded


def tell_as(
    kind: ProcessKind,
    certificates: Certificates | None = None,
    listens: Sequence[str] = (),
) -> None:
    """What this process tells of itself as, with what certificates, and at which URLs it
    listens; web, unless it says otherwise before its first `engine()`."""
    global _telling_as
    _telling_as = kind, certificates, listens


def probing() -> dict[str, Any]:
    """Whether anybody probes, as this process last read it: `ok`, `why`."""
    return (_watcher or _begin()).telling.probing


def stop() -> None:
    """End the process's watcher, if there is one; the next `engine()` begins anew."""
    global _watcher
    with _beginning:
        if _watcher:
            _watcher.stop()
        _watcher = None


def secret() -> bytes:
    """What signs sticky cookies: the same in all processes that share SECRET_KEY."""
    return salted_hmac("pools.sticky", "", algorithm="sha256").digest()


class Watcher:
    """Keeps one engine up to date; `look` by hand, or by a thread from `start` to `stop`."""

    def __init__(self) -> None:
        now = conf.current()
        self.engine = Engine(clock=time.monotonic, random=Random())
        self.loaded = False
        self.interval_s = now.poll_interval_s
        self._folder = now.data_dir
        self._redis_url = now.redis_url
        self._looking = threading.Lock()
        self.busy = threading.Lock()  # while the thread is at the database
        self._swapping = threading.Lock()  # a look may hang while the file is taken
        self._revision: int | None = None  # the last one seen; None: none yet
        self._health: dict[str, Verdict] | None = None  # as last read; None: not yet
        self._health_version = 0
        self._health_due: float | None = None  # of time.monotonic
        self._jumps = clock.Jumps()
        self._health_kept: dict[str, Verdict] | None = None
        self._keep_health_at = 0.0
        self._ejected: dict[str, datetime] = {}  # key: when it was first seen so
        self._trouble = ""
        self.telling = Telling(*_telling_as)
        self.counting = Counting()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._looked = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Load what is published, or else the last good file, and go on watching."""
        self._spawn("pools-watch", self._run)
        if self._redis_url:
            self._spawn("pools-wake", self._listen)
        if not self._looked.wait(FIRST_LOOK_S):
            logger.warning("the database has not answered for %g s", FIRST_LOOK_S)
            self._fall_back()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        for thread in self._threads:
            thread.join(_STOP_S)

    def look(self) -> None:
        """Take over what changed. Never raises: trouble is logged, once until it is over."""
        with self._looking:
            try:
                self._look()
            except Exception as error:
                self._complain(error)
            else:
                if self._trouble:
                    logger.info("watching works again, at revision %d", self._revision)
                self._trouble = ""

    def _look(self) -> None:
        begun = time.monotonic()
        rows = PublishedState.objects.annotate(now=Now())
        found = rows.filter(pk=PublishedState.KEY).first()
        now, state = (found.now, found) if found else (clock.now(), PublishedState())
        tick = time.monotonic()
        if jump := self._jumps.look(now, begun, tick):
            logger.warning("the clock jumped by %+.0f s", jump.total_seconds())
        new = state.revision != self._revision
        due = self._health_due is not None and tick >= self._health_due
        if new or due or state.health_version != self._health_version:
            reading = verdicts.read(now, self._jumps)
            with self._swapping:
                self._health = reading.verdicts
                self.engine.apply_health(reading.verdicts)
            self._health_due = (
                tick + (reading.until - now).total_seconds() if reading.until else None
            )
            self._health_version = state.health_version
        if new:  # after health, so that no backend known to be down is tried first
            self._load(state.revision, now, tick)
        if self._folder and self._health != self._health_kept:
            self._keep_health(self._folder)
        self._end_ejections(now)

    def _load(self, number: int, now: datetime, tick: float) -> None:
        """Take a revision over; `now` is the database's time at `tick` of time.monotonic."""
        began = self._revision is None
        try:
            document = publish.published(number)
            self._swap(document, number)
            if not began and (made_at := publish.made_at(number)):
                passed_s = (now - made_at).total_seconds() + time.monotonic() - tick
                self.telling.took = number, max(0.0, passed_s)
        except (DocumentError, UnicodeError) as error:
            # Of another version of the program. It stays as it is: no second try.
            logger.error("revision %d cannot be used, going on without: %s", number, error)
            if self._revision is None:
                self._fall_back()
            self._revision = number
            return
        if self._folder and number:
            self._keep(self._folder, document, number)

    def _swap(self, document: Document, number: int) -> None:
        snapshot = compile_snapshot(document, revision=number, secret=secret())
        with self._swapping:
            self.engine.swap(snapshot)
            self._revision = number
            self.loaded = True

    def _keep(self, folder: Path, document: Document, number: int) -> None:
        try:
            last_good.save(folder, document, revision=number)
        except OSError as error:
            logger.warning("the last good configuration is not kept: %s", error)

    def _keep_health(self, folder: Path) -> None:
        now = time.monotonic()
        if self._health is None or now < self._keep_health_at:
            return  # a later look keeps it
        self._keep_health_at = now + _KEEP_HEALTH_S
        self._health_kept = self._health
        try:
            last_good.save_health(folder, self._health)
        except OSError as error:
            logger.warning("the last good health is not kept: %s", error)

    def _end_ejections(self, now: datetime) -> None:
        """A passing probe ends an ejection."""
        ejected = self.engine.ejected()
        if new := ejected.difference(self._ejected):
            for status in self.engine.status():
                if status.key in new:
                    logger.warning("%s: %s", status.key, status.why)
        self._ejected = {key: self._ejected.get(key, now) for key in ejected}
        if ejected:
            self.engine.recovered(verdicts.recovered(self._ejected))

    def _fall_back(self) -> None:
        """Begin with the last good file, until the database answers."""
        found = last_good.load(self._folder) if self._folder else None
        if not (found and self._folder):
            return
        number, document = found
        logger.warning("starting from the last good configuration, revision %d", number)
        health = last_good.load_health(self._folder)
        snapshot = compile_snapshot(document, revision=number, secret=secret())
        with self._swapping:
            if self._revision is not None:
                return  # the database answered meanwhile
            if self._health is None:
                # However old: without the database no probe can say anything newer.
                self.engine.apply_health(health)
            self.engine.swap(snapshot)
            self.loaded = True

    def _complain(self, error: Exception) -> None:
        """Log trouble once, whatever its words, until it is over."""
        kind = _DATABASE if isinstance(error, Error) else repr(error)
        before, self._trouble = self._trouble, kind
        if before == kind:
            return
        logger.warning(
            "cannot look for changes, going on with revision %d: %s",
            self.engine.snapshot.revision,
            str(error).partition("\n")[0],
            exc_info=None if isinstance(error, Error) else error,
        )
        if not before and self._revision is None:
            self._fall_back()

    # --- threads ---------------------------------------------------------------------

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        look_at, woken = 0.0, True
        try:
            while not self._stopping.is_set():
                with self.busy:
                    if woken or time.monotonic() >= look_at:
                        self.look()
                        if self._trouble:
                            connections.close_all()  # the next look connects anew
                        self._looked.set()
                        look_at = time.monotonic() + self.interval_s
                    database = self._trouble != _DATABASE
                    self.telling.turn(self.engine, database=database)
                    self.counting.turn(self.engine, database=database)
                woken = self._woken.wait(min(self.interval_s, TURN_S))
                self._woken.clear()
            self.counting.end(self.engine)
            self.telling.end()
        finally:
            connections.close_all()  # this thread's

    def _listen(self) -> None:
        wake.listen(self._redis_url, self._woken.set, self._stopping)


_watcher: Watcher | None = None
_resting: Watcher | None = None  # while this process forks
_telling_as: tuple[ProcessKind, Certificates | None, Sequence[str]] = (
    ProcessKind.WEB,
    None,
    (),
)
_beginning = threading.Lock()


def _begin() -> Watcher:
    global _watcher
    with _beginning:
        if _watcher is None:
            watcher = Watcher()
            if watcher.interval_s:
                watcher.start()
            _watcher = watcher
        return _watcher


def _rest() -> None:
    """Before a fork: a child that is made while the thread is in SQLite would find SQLite's
    own locks held for ever. A database that hangs is not waited for."""
    global _resting
    watcher = _watcher
    if watcher and watcher.busy.acquire(timeout=_STOP_S):
        _resting = watcher


def _go_on() -> None:
    global _resting
    watcher, _resting = _resting, None
    if watcher:
        watcher.busy.release()


def _forget() -> None:
    """In a forked child: the parent's thread is not there, and its lock may be held."""
    global _watcher, _beginning, _resting
    _watcher, _beginning, _resting = None, threading.Lock(), None


os.register_at_fork(before=_rest, after_in_parent=_go_on, after_in_child=_forget)
atexit.register(stop)
