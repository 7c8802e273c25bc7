"""Answers for health checks of this process; reserved paths, never proxied."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from pools.control import watch


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """The process routes by a published configuration; which one is said.

    The database may be away: what is in force stays in force.
    """
    revision = watch.engine().snapshot.revision
    return HttpResponse(f"revision {revision}\n", content_type="text/plain")
