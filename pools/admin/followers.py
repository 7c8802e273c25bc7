"""Which processes have a revision in force, in a line that goes on by itself until all have."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.control import followers
from pools.control.followers import Followers

_NAMED = 5  # processes that are behind


def said(number: int, *, new: bool = False) -> SafeString:
    """ "Revision 12, in force in 3 of 4 processes; behind is ...", for a message or a page. Of
    a `new` one, made as this is said, nobody is behind yet."""
    found = followers.of(number)
    return format_html(
        '<span class="pools-followers"{}>{}</span>',
        "" if found.done else format_html(' data-followers-url="{}"', _url(number)),
        _coming(number) if new and not found.done else _line(found),
    )


def _coming(number: int) -> SafeString:
    page = reverse("admin:pools_revision_changelist")
    link = format_html('<a href="{}">{}</a>', page, _("see who has it"))
    words = _("Revision %(number)d comes into force within a second:") % {"number": number}
    return format_html("{} {}.", words, link)


def view(request: HttpRequest, number: int) -> HttpResponse:
    """The line alone; X-Pools-Done says that it stays as it is."""
    if not request.user.has_module_perms("pools"):
        raise PermissionDenied
    found = followers.of(number)
    response = HttpResponse(_line(found))
    if found.done:
        response["X-Pools-Done"] = "1"
    response["Cache-Control"] = "no-store"
    return response


def _url(number: int) -> str:
    return reverse("admin:pools_revision_followers", args=(number,))


def _line(found: Followers) -> str:
    context = {
        "number": found.number,
        "words": _words(found),
        "behind": found.behind[:_NAMED],
        "more": len(found.behind[_NAMED:]),
    }
    return render_to_string("pools/admin/followers.html", context)


def _words(found: Followers) -> str:
    if not found.total:
        return _("published; no gateway or web process is running that could tell of it")
    words = ngettext(
        "in force in %(there)d of %(total)d process",
        "in force in %(there)d of %(total)d processes",
        found.total,
    ) % {"there": len(found.there), "total": found.total}
    if found.after_s is None:
        return words
    return _("%(words)s after %(after)s s") % {"words": words, "after": f"{found.after_s:.1f}"}
