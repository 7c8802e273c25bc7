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

    The database may be away: what is in force stays in force, or else the last good file
    is. 503 while there is neither.
    """
    revision = watch.engine().snapshot.revision
    if not watch.loaded():
        text = "no configuration: the database is away, and there is no last good file\n"
        return HttpResponse(text, content_type="text/plain", status=503)
    return HttpResponse(f"revision {revision}\n", content_type="text/plain")
