"""Lines to a file or a pipe, written by a thread so that nobody waits for a slow one.

Rules:
- What cannot be written in time (a full disk, a pipe that nobody reads) is dropped, counted
  and said once.
- Processes may share a file or a pipe: lines stay whole, but for those beyond PIPE_BUF in a
  pipe, and for the last one before a full disk.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import threading
import time
from collections.abc import Iterable, Iterator

from pools.core.errors import PoolsError
from pools.outage import Outage

logger = logging.getLogger("pools.gateway")

MAX_WAITING_BYTES = 4 * 1024 * 1024  # handed over, and not taken by the thread yet
CALM_S = 10.0  # without a line lost, until that is said to be over
CLOSE_S = 2.0  # how long the end of the process waits for the last lines

_PIPE_BYTES = select.PIPE_BUF  # up to here, a pipe takes lines whole


class LineWriter:
    """Appends lines to a file, or to stdout for "-". Used by one thread, after any fork."""

    def __init__(self, target: str) -> None:
        """Raises PoolsError."""
        self.dropped = 0  # by either thread; guarded, as all up to `_ending`, by `_changed`
        self._changed = threading.Condition()
        self._batches: list[bytes] = []
        self._waiting_bytes = 0
        self._reopening = False
        self._ending = False
        self._target = target
        self._thread: threading.Thread | None = None
        self._torn = False  # the last line was written in part
        self._outage = Outage(
            logger,
            begun=f"the access log {target} takes no lines, they are dropped",
            over=f"the access log {target} takes lines again",
        )
        self._dropped_at = 0.0  # on time.monotonic
        self._dropped_said = 0
        try:
            self._open()
        except OSError as error:
            raise PoolsError(
                f"the access log {target} cannot be opened: {error.strerror};"
                " name a file that this user may write"
            ) from None

    # --- the caller's side -------------------------------------------------------------

    def take(self, lines: list[bytes]) -> None:
        """Have these written, each with its line break."""
        batch = b"".join(lines)
        with self._changed:
            fits = self._waiting_bytes + len(batch) <= MAX_WAITING_BYTES
            if fits:
                self._batches.append(batch)
                self._waiting_bytes += len(batch)
        if fits:
            self._wake()
        else:
            self._drop(len(lines), TimeoutError("it is too slow"))

    def reopen(self) -> None:
        """Go on in a new file of the same name, after the old one was moved away."""
        with self._changed:
            self._reopening = True
        self._wake()

    def close(self) -> None:
        """Write what was taken, within CLOSE_S."""
        if self._thread is None:
            self._close(self._fd)
            return
        with self._changed:
            self._ending = True
        self._wake()
        self._thread.join(CLOSE_S)

    def _wake(self) -> None:
        if self._thread is None:  # here, as threads do not survive a fork
            self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
            self._thread.start()
        with self._changed:
            self._changed.notify()

    def _drop(self, lines: int, error: Exception) -> None:
        with self._changed:
            self.dropped += lines
            self._dropped_at = time.monotonic()
        self._outage.begins(error)

    # --- the thread's side -------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._batches or self._reopening or self._ending):
                    self._changed.wait()
                batch, self._batches = b"".join(self._batches), []
                self._waiting_bytes = 0
                reopening, self._reopening = self._reopening, False
                ending = self._ending
            if self._write(batch) and time.monotonic() - self._dropped_at >= CALM_S:
                self._outage.over()
                self._say_dropped()
            if ending:
                self._say_dropped()
                self._close(self._fd)
                return
            if reopening:
                self._reopen()

    def _write(self, batch: bytes) -> bool:
        """Write lines; what is not written is dropped. False: some were."""
        done = 0
        try:
            for end in self._ends(batch):
                if self._torn:
                    self._write_some(b"\n")
                    self._torn = False
                while done < end:
                    done += self._write_some(batch[done:end])
                    self._torn = batch[done - 1 : done] != b"\n"
        except OSError as error:
            self._drop(batch.count(b"\n", done), error)
            return False
        return True

    def _ends(self, batch: bytes) -> Iterable[int]:
        """Up to where to write at once."""
        if not batch:
            return ()
        return _ends_of_pieces(batch) if self._in_pieces else (len(batch),)

    def _write_some(self, data: bytes) -> int:
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:  # named pipes, and what others made so
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll()

    def _say_dropped(self) -> None:
        lines, self._dropped_said = self.dropped - self._dropped_said, self.dropped
        if lines:
            logger.warning("the access log %s lost %d lines", self._target, lines)

    def _open(self) -> None:
        if self._target == "-":
            self._fd = 1
        else:
            # Not to wait for who reads a named pipe.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
            self._fd = os.open(self._target, flags, 0o640)
            self._torn = False
        self._in_pieces = not stat.S_ISREG(os.fstat(self._fd).st_mode)

    def _reopen(self) -> None:
        before = self._fd
        try:
            self._open()
        except OSError as error:
            logger.error(
                "the access log %s cannot be reopened and goes on in the file it had: %s",
                self._target,
                error.strerror,
            )
        else:
            self._close(before)

    def _close(self, fd: int) -> None:
        if self._target != "-":
            os.close(fd)


def _ends_of_pieces(batch: bytes) -> Iterator[int]:
    """Ends of as many lines as a pipe takes whole, or of one that is longer."""
    end = 0
    while end < len(batch):
        start = end
        end = batch.rfind(b"\n", start, start + _PIPE_BYTES) + 1
        end = end or batch.index(b"\n", start) + 1
        yield end
