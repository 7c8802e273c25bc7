"""A line on each page of the admin while a draft waits.

A project that mounts the app and uses staged mode adds it to MIDDLEWARE, after Django's
MessageMiddleware.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from pools.admin import staging


class DraftBanner:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_template_response(
        self, request: HttpRequest, response: TemplateResponse
    ) -> TemplateResponse:
        """A message that this page shows, as it is not rendered yet."""
        if _is_page(request) and (number := staging.waiting(request)):
            messages.warning(request, staging.waits(number))
        return response


def _is_page(request: HttpRequest) -> bool:
    """Of the admin, for who is signed in; the draft's own page says it by itself."""
    match = request.resolver_match
    if match is None or "admin" not in match.app_names or "_popup" in request.GET:
        return False
    user = getattr(request, "user", None)
    return bool(user and user.is_staff) and match.url_name != "pools_draft_changelist"
