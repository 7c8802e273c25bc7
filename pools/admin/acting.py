"""The middleware that tells the audit log who acts, and from where."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from pools.control import audit


class ActingMiddleware:
    """What a request does is put down to its user and the client's address; behind
    AuthenticationMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with audit.acting(request):
            return self._get_response(request)
