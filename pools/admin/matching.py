"""Routes in the order in which they match: for their list, their page, and after a save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Literal, cast

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pools.admin import base, cells
from pools.control import asked, figures, route_table, teams
from pools.control.figures import Rates
from pools.control.route_list import conditions_text
from pools.control.route_table import RouteTable
from pools.control.teams import User
from pools.core.precedence import ANY, Shadow
from pools.models import Route

ANY_HOST = gettext_lazy("any host")
_MATCHING = "pools.admin.matching"  # where WSGI keeps what belongs to a request
HOST_PARAMETER = "for_host"  # of the list's address


class Matching:
    """The table of routes and their figures, read when they are first asked for; for one
    request. Routes that its `user` may not see are not named."""

    def __init__(self, user: User) -> None:
        self._user = user

    @cached_property
    def table(self) -> RouteTable:
        return route_table.read()

    def for_host(self, host: str) -> list[int]:
        """As that of the table."""
        if host not in self._for_host:
            self._for_host[host] = self.table.for_host(host)
        return self._for_host[host]

    @cached_property
    def _for_host(self) -> dict[str, list[int]]:
        return {}

    @cached_property
    def rates(self) -> dict[str, Rates]:
        return dict(figures.latest().routes)

    def place(self, route: Route) -> str:
        return str(self.table.places.get(route.pk, "–"))

    def shadow(self, route: Route) -> Shadow | None:
        return self.table.shadows.get(route.pk)

    def state(self, route: Route) -> SafeString:
        """A badge; of a route that gets no requests, why."""
        if not route.enabled:
            return _badge("maint", _("disabled"))
        shadow = self.shadow(route)
        if shadow is None:
            return _badge("ready", _("enabled"))
        if shadow.whole:
            badge = _badge("down", _("never taken"))
        else:
            badge = _badge("partly", _("not on every host"))
        return format_html('{} <span class="pools-reason">{}</span>', badge, self.why(shadow))

    def why(self, shadow: Shadow) -> SafeString:
        """Who takes its requests, each with a link."""
        if shadow.never:
            never = _("it wants %(header)s both present and absent")
            return format_html("{}", never % {"header": shadow.never})
        takers = list(dict.fromkeys(name for _host, name in shadow.by))
        if shadow.whole and len(takers) == 1:
            return self._takes(takers[0], _("all of it"))
        return format_html_join(
            "; ",
            "{}",
            ((self._takes(name, _where(host)),) for host, name in shadow.by),
        )

    @cached_property
    def _seen(self) -> set[str] | None:
        """The names that may be told; None: all."""
        if teams.sees_all(self._user):
            return None
        return set(teams.visible_routes(self._user).order_by().values_list("name", flat=True))

    def named(self, name: str) -> str:
        """The route, as this user may know of it."""
        seen = self._seen is None or name in self._seen
        return name if seen else _("a routing rule of another team")

    def _takes(self, name: str, what: str) -> SafeString:
        if self.named(name) != name:
            return format_html(_("{route} takes {what}"), route=self.named(name), what=what)
        page = reverse("admin:pools_route_change", args=(self.table.id_of[name],))
        link = format_html('<a class="pools-inline" href="{}">{}</a>', page, name)
        return format_html(_("{route} takes {what}"), route=link, what=what)

    def rate(self, route: Route) -> str:
        found = self.rates.get(route.name)
        return f"{found.requests_per_s:.1f}" if found else ""

    def position(self, route: Route) -> str:
        """ "3 of 12": where it stands among the enabled ones."""
        place = self.table.places.get(route.pk)
        if place is None:
            return _("none: it is disabled")
        told = {"place": place, "total": len(self.table.places)}
        return _("%(place)s of %(total)s enabled routes") % told

    def figures(self, route: Route) -> SafeString | str:
        """ "12 requests/s, 0.1 % errors, p50 3.0 ms, p99 20 ms"."""
        found = self.rates.get(route.name)
        if found is None:
            return _("no requests")
        parts = [format_html(_("{rate} requests/s"), rate=cells.rate(found.requests_per_s))]
        if found.error_share is not None:
            parts.append(format_html(_("{share} errors"), share=cells.share(found.error_share)))
        for name, value in (("p50", found.p50_ms), ("p99", found.p99_ms)):
            if value is not None:
                parts.append(format_html("{}&nbsp;{}", name, cells.ms(value)))
        return format_html_join(", ", "{}", ((part,) for part in parts))


def page(route: Route) -> Matching:
    """What the page of one route shows; its fields share what was read."""
    return cast(Matching, vars(route)["matching"])


def read_page(request: HttpRequest, route: Route) -> None:
    """Give a route what its page shows."""
    vars(route)["matching"] = of(request)


def _where(host: str) -> str:
    return _("all of %(host)s") % {"host": host if host != ANY else ANY_HOST}


def _badge(colour: str, word: str) -> SafeString:
    return format_html('<span class="pools-badge pools-{}">{}</span>', colour, word)


def of(request: HttpRequest) -> Matching:
    """The one of a request, which all parts of a page share."""
    found = request.META.get(_MATCHING)
    if found is None:
        found = request.META[_MATCHING] = Matching(request.user)
    return cast(Matching, found)


def columns(request: HttpRequest) -> dict[str, Callable[[Route], SafeString | str]]:
    """Columns of a list of routes; all its rows share what was read."""
    seen = of(request)

    @admin.display(description="#")
    def place(route: Route) -> str:
        return seen.place(route)

    @admin.display(description=gettext_lazy("conditions"))
    def conditions(route: Route) -> str:
        pattern, _pool = seen.table.patterns[route.name]
        return conditions_text(pattern)

    @admin.display(description=gettext_lazy("state"), ordering="enabled")
    def state(route: Route) -> SafeString:
        return seen.state(route)

    @admin.display(description=gettext_lazy("requests/s"))
    def rate(route: Route) -> str:
        return seen.rate(route)

    return {"place": place, "conditions": conditions, "state": state, "rate": rate}


class InOrder(base.ChangeList):
    """Rows in the order in which routes match, until a column is chosen to sort by."""

    def get_ordering_field_columns(self) -> dict[int, Literal["desc", "asc"]]:
        """Those that were chosen: no column is what rows are sorted by before."""
        chosen = bool(self.params.get(ORDER_VAR))
        return super().get_ordering_field_columns() if chosen else {}

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.params.get(ORDER_VAR):
            return
        seen = of(request)
        host = host_of(request.GET.get(HOST_PARAMETER, ""))
        order = seen.for_host(host) if host else seen.table.ids
        found = set(self.queryset.order_by().values_list("pk", flat=True))
        ids = [pk for pk in order if pk in found]
        if self.multi_page and not (self.show_all and self.can_show_all):
            begin = (self.page_num - 1) * self.list_per_page
            ids = ids[begin : begin + self.list_per_page]
        rows = self.queryset.order_by().in_bulk(ids)
        self.result_list = [rows[pk] for pk in ids if pk in rows]


def host_of(typed: str) -> str:
    """The host of what was typed, a name or a URL; "" where it is none."""
    typed = typed.strip()
    url = typed if "//" in typed else f"http://{typed}/"
    try:
        return asked.read(method="GET", url=url).name
    except asked.Mistyped:
        return ""


def warnings(request: HttpRequest, route: Route) -> Iterator[str]:
    """What a save has brought about that was hardly meant."""
    seen = Matching(request.user)  # anew: there was a save
    name = route.name
    shadow = seen.shadow(route) if route.enabled else None
    if shadow and shadow.whole:
        yield format_html(
            _("{route} never gets a request: {why}."), route=name, why=_text(seen, shadow)
        )
    elif shadow:
        yield format_html(
            _("{route} is not on every host: {why}."), route=name, why=_text(seen, shadow)
        )
    others = list(dict.fromkeys(map(seen.named, seen.table.shadowed_by(name))))
    if others:
        text = ngettext(
            "It takes all requests of %(routes)s, which gets none.",
            "It takes all requests of %(routes)s, which get none.",
            len(others),
        )
        yield text % {"routes": ", ".join(others[:5]) + (" …" if len(others) > 5 else "")}


def _text(seen: Matching, shadow: Shadow) -> str:
    if shadow.never:
        return _("it wants %(header)s both present and absent") % {"header": shadow.never}
    takers = dict.fromkeys(name for _host, name in shadow.by)
    if shadow.whole:
        return _("%(routes)s takes all of it") % {
            "routes": ", ".join(dict.fromkeys(map(seen.named, takers)))
        }
    return "; ".join(
        _("%(route)s takes %(what)s") % {"route": seen.named(name), "what": _where(host)}
        for host, name in shadow.by
    )
