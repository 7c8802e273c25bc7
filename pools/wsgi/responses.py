"""What goes back to the client: a backend's answer as it comes, or an error of our own."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Protocol

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from pools.core.headers import Pairs
from pools.wire import pages


class Answer(Protocol):
    """A backend's answer under way."""

    def read(self) -> bytes:
        """The next bytes of the body as they come, b"" at its end; ConnectionError where
        it is cut short or the client left."""

    def close(self) -> None:
        """Ends it, whether or not it was read. May be called again."""

    def abandon(self) -> None:
        """Has it closed soon. Called by the garbage collector: it must take no lock."""


class ProxyResponse(StreamingHttpResponse):
    """A backend's answer: its fields in number, order and value, its body as it comes.

    Django's own header machinery would merge repeated fields, so what reaches the server is
    `fields`, and then what other middleware set in `headers`, unless the backend sent it.
    """

    # Read by django.utils.log: a backend's 404 or 500 is no error of this project.
    _has_been_logged = True

    _answer: Answer | None = None  # until it is closed

    def __init__(
        self, *, status: int, reason: bytes, fields: Pairs, first: bytes, answer: Answer | None
    ) -> None:
        """`first` is what has come of the body; `answer` brings the rest, None: no rest."""
        super().__init__(status=status, reason=reason.decode("latin-1"))
        del self.headers["Content-Type"]
        self._fields = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in fields
        ]
        self._first = first
        self._answer = answer

    def items(self) -> list[tuple[str, str]]:
        if not self.headers:
            return self._fields
        sent = {name.lower() for name, _ in self._fields}
        return self._fields + [
            (name, value) for name, value in self.headers.items() if name.lower() not in sent
        ]

    def __iter__(self) -> Iterator[bytes]:
        # Even if nothing of the body has come: an empty piece sends the head.
        yield self._first
        while self._answer is not None and (piece := self._answer.read()):
            yield piece

    def close(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()
        super().close()

    def __del__(self) -> None:
        # Nobody closed it: a middleware above ours raised, and Django answers by itself.
        if self._answer is not None:
            self._answer.abandon()


class CutShort(ConnectionResetError):
    """Raised into the WSGI server so that it cuts the client's connection.

    The errno makes gunicorn do so without a trace in its log; ours says what happened.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ECONNRESET, reason)


class ErrorResponse(HttpResponse):
    """An error that `pools.wsgi` has logged."""

    _has_been_logged = True


def error(
    request: HttpRequest, status: int, *, request_id: bytes, retry_after_s: int = 0
) -> HttpResponse:
    """An answer of our own: a short page, or JSON for who prefers it. It names no backend."""
    shown = request_id.decode("latin-1")
    kind, content = pages.error(
        status, accept=request.META.get("HTTP_ACCEPT", ""), request_id=shown
    )
    response = ErrorResponse(
        content, content_type=kind, status=status, reason=pages.title(status)
    )
    response["Content-Length"] = str(len(response.content))
    if request.method == "HEAD":
        response.content = b""  # or gunicorn complains of each
    response["Cache-Control"] = "no-store"
    response["X-Request-ID"] = shown
    if status == 405:
        response["Allow"] = pages.ALLOW
    if retry_after_s:
        response["Retry-After"] = str(retry_after_s)
    return response
