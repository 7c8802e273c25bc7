"""What goes back to the client: a backend's answer as it comes, or an error of our own."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.html import escape

from pools.core.headers import Pairs
from pools.wsgi.pages import PAGE

TEXTS = {
    400: "The request is malformed.",
    404: "Nothing is served at this address.",
    405: "This method is not served here.",
    408: "The request took too long to arrive.",
    411: "The request's body needs a Content-Length.",
    413: "The request's body is too large.",
    499: "The client left before the answer.",
    501: "The request's body is coded in a way that is not served here.",
    502: "The service behind this address gave no usable answer.",
    503: "No service behind this address is available now. Try again in a moment.",
    504: "The service behind this address took too long.",
}


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


def _prefers_json(request: HttpRequest) -> bool:
    try:
        kind = request.get_preferred_type(["text/html", "application/json"])
    except (LookupError, ValueError):  # a parameter that Django cannot decode
        return False
    return kind == "application/json"


def error(
    request: HttpRequest, status: int, *, request_id: bytes, retry_after_s: int = 0
) -> HttpResponse:
    """An answer of our own: a short page, or JSON for who prefers it. It names no backend."""
    text = TEXTS[status]
    title = HTTPStatus(status).phrase if status != 499 else "Client Closed Request"
    shown = request_id.decode("latin-1")
    content: str
    if _prefers_json(request):
        kind = "application/json"
        content = json.dumps({"status": status, "error": text, "request_id": shown})
    else:
        kind = "text/html; charset=utf-8"
        content = PAGE.substitute(
            status=status, title=title, text=text, request_id=escape(shown)
        )
    response = ErrorResponse(content, content_type=kind, status=status, reason=title)
    response["Content-Length"] = str(len(response.content))
    if request.method == "HEAD":
        response.content = b""  # or gunicorn complains of each
    response["Cache-Control"] = "no-store"
    response["X-Request-ID"] = shown
    if status == 405:
        response["Allow"] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    if retry_after_s:
        response["Retry-After"] = str(retry_after_s)
    return response
