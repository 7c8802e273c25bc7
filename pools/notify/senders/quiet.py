"""Keeps what libraries log of a message out of the log: at debug, they log its URL.

What a thread that sends makes them say is kept for who asks in that thread, instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry", "apprise")


class _Here(threading.local):
    lines: list[str] | None = None


_here = _Here()


class _Keep(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if _here.lines is None:
            return True
        if record.levelno >= logging.WARNING:
            _here.lines.append(" ".join(record.getMessage().split()))
        return False


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_Keep())


@contextmanager
def here() -> Iterator[None]:
    """Nothing that this thread makes the libraries say is logged."""
    before, _here.lines = _here.lines, []
    try:
        yield
    finally:
        _here.lines = before


def said() -> list[str]:
    """The warnings that were kept, within `here`."""
    return _here.lines or []
