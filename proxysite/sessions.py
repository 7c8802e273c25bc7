"""Sessions end when nobody has used them for a while.

A page that refreshes itself is no use by a person: it would keep a forgotten screen signed in
for ever, and write to the database each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

USED = "used_at"
WRITTEN_EACH_S = 60


class IdleMiddleware:
    """Puts off a session's end with each page that a person opens; behind SessionMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        session = request.session
        now = int(time.time())
        if (
            not _of_a_script(request)
            and not session.is_empty()
            and now - session.get(USED, 0) >= WRITTEN_EACH_S
        ):
            session[USED] = now  # written, and so it ends SESSION_COOKIE_AGE from now
        return self._get_response(request)


def _of_a_script(request: HttpRequest) -> bool:
    """By what browsers say of each request (Fetch Metadata); without, it is a person's."""
    return request.headers.get("Sec-Fetch-Dest", "document") == "empty"
