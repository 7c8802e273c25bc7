"""What goes wrong with a probe, in words for people.

They are the same each time for the same trouble, so that steady trouble is written once.
"""

from __future__ import annotations

import os
import socket
import ssl

from pools import net
from pools.wire.errors import Malformed, UpstreamError


class Unmet(Exception):
    """The backend answered, and not as expected; the text says what it did."""


def of(error: Exception) -> str:
    match error:
        case Unmet():
            return str(error)
        case socket.gaierror(errno=socket.EAI_NONAME):
            return "name does not resolve"
        case socket.gaierror():
            return f"name cannot be resolved: {error.strerror}"
        case ssl.SSLCertVerificationError():
            return f"certificate refused: {error.verify_message}"
        case ssl.SSLEOFError():
            return "closed in the TLS handshake"
        case ssl.SSLError():
            reason = (error.reason or "unknown").lower().replace("_", " ")
            return f"TLS failed: {reason}"
        case Malformed(problem="is not HTTP"):
            return "the answer is not HTTP"
        case UpstreamError():
            return error.reason.replace("the backend's answer", "the answer")
        case BlockingIOError():  # of a Unix socket; TCP has it waited for
            return "its queue of new connections is full"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    return str(error) or repr(error)


def printable(text: str) -> str:
    """The text with escapes for what no terminal or database should be given: a backend may
    say anything."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def is_ours(error: Exception) -> bool:
    """Whether it says nothing of the backend: this process lacks files or memory."""
    return isinstance(error, OSError) and error.errno in net.OURS
