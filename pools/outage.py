"""What is away for a while, in the log: a line when that begins and a line when it is over."""

from __future__ import annotations

import logging
import threading


class Outage:
    """Whether something is away, and was said to be. Thread-safe."""

    def __init__(self, logger: logging.Logger, *, begun: str, over: str) -> None:
        self._logger = logger
        self._begun, self._over = begun, over
        self._lasts = False
        self._lock = threading.Lock()

    @property
    def lasts(self) -> bool:
        return self._lasts

    def begins(self, error: BaseException) -> None:
        """Say it with the first line of the error, unless it lasts already."""
        with self._lock:
            said, self._lasts = self._lasts, True
        if not said:
            self._logger.warning("%s: %s", self._begun, str(error).partition("\n")[0])

    def over(self) -> None:
        """Say that it is over, if it lasted."""
        with self._lock:
            lasted, self._lasts = self._lasts, False
        if lasted:
            self._logger.info("%s", self._over)
