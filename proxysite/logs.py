"""What must not fill the log."""

from __future__ import annotations

import logging


class Brief(logging.Filter):
    """One line, at warning and without a traceback, for a request that Django refuses.

    Anybody can send those, such as with a Host of their own making (django.security.*).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security"):
            # What was sent may hold line breaks, to look like lines of ours.
            record.msg, record.args = " ".join(record.getMessage().splitlines()), ()
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
