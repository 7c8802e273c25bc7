"""The dashboard's page, what of it is refreshed, and the figures of its plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from pools.admin import health, live, plots
from pools.admin.dashboard import parts, warnings
from pools.control import census, clock, figures, processes, publish, reports, teams
from pools.control.processes import TRAFFIC
from pools.models import Alert, HealthEvent, Pool, Revision

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Pool]
else:
    _Base = object

PAGE = "pools/admin/dashboard.html"


class Pages(_Base):
    """For the admin of pools: its site's dashboard, below it."""

    def get_urls(self) -> list[URLPattern]:
        def page(at: str, view: Any, name: str) -> URLPattern:
            bound: Any = self.admin_site.admin_view(view)
            found: URLPattern = path(at, bound, name=name)
            return found

        own = [
            page("dashboard/", self.dashboard_view, "pools_dashboard"),
            page("dashboard/live/", self.dashboard_live_view, "pools_dashboard_live"),
            page("dashboard/figures/", self.figures_view, "pools_figures"),
        ]
        return [*own, *super().get_urls()]

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        found = {**self.admin_site.each_context(request), **context(request, self.admin_site)}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, PAGE, found)

    def dashboard_live_view(self, request: HttpRequest) -> HttpResponse:
        found = context(request, self.admin_site)
        return TemplateResponse(request, "pools/admin/dashboard_live.html", found)

    def figures_view(self, request: HttpRequest) -> HttpResponse:
        """Of all traffic, or of one pool that the user may see."""
        pools = parts.rows(self.admin_site, request, Pool)
        if pools is None:
            raise PermissionDenied
        window, name = plots.window_of(request), request.GET.get("pool", "")
        if name and not pools.order_by().filter(name=name).exists():
            raise Http404(f"there is no pool {name!r}")
        series = figures.series(window, pool=name)
        return plots.answer(window, plots.traffic(series, total=not name))


def context(request: HttpRequest, site: AdminSite) -> dict[str, Any]:
    """What the dashboard's templates take."""
    window, order = _window(request), parts.order_of(request)
    chosen = {"window": window, "order": order}
    return {
        "title": _("Dashboard"),
        "files": plots.FILES + live.FILES,
        "live_url": f"{reverse('admin:pools_dashboard_live')}?{urlencode(chosen)}",
        "plot_url": f"{reverse('admin:pools_figures')}?{urlencode({'window': window})}",
        "windows": _links(plots.windows(), chosen, "window"),
        **_now(request, site, chosen),
    }


def _now(request: HttpRequest, site: AdminSite, chosen: dict[str, str]) -> dict[str, Any]:
    """The parts that are refreshed. Without the right to see pools there are none of theirs."""
    now = clock.now()
    told, number = processes.read(), publish.revision()
    pools = parts.rows(site, request, Pool)
    found: dict[str, Any] = {"sees_pools": pools is not None}
    if pools is not None:
        latest = figures.latest()
        panics = reports.panics(one for one in told if one.living and one.kind in TRAFFIC)
        counted = census.read(now, pools, panics)
        published = Revision.objects.filter(number=number).values("created_at", "who", "why")
        revision = published.first()
        warned = warnings.gather(
            counted, told, (number, revision["created_at"] if revision else None), now
        )
        if request.user.has_perm("auth.change_user"):
            warned += warnings.unwise()
        found |= {
            "warnings": sorted(warned, key=lambda one: one.level),
            "tiles": parts.tiles(counted, latest),
            "pools": parts.pools(counted, latest, chosen["order"]),
            "orders": _links(parts.orders(), chosen, "order"),
            "processes": parts.running(told, number),
            "revision": revision
            and {
                **revision,
                # It names what was changed, of other teams too.
                "why": revision["why"] if teams.sees_all(request.user) else "",
                "number": number,
                "at": health.moment(revision["created_at"]),
            },
        }
    if (alerts := parts.rows(site, request, Alert)) is not None:
        found["alerts"] = parts.alerts(alerts, now)
    if (events := parts.rows(site, request, HealthEvent)) is not None:
        found["events"] = parts.events(events)
    return found


def _window(request: HttpRequest) -> str:
    found = request.GET.get("window", "15m")
    return found if found in figures.WINDOWS else "15m"


def _links(titles: dict[str, str], chosen: dict[str, str], name: str) -> list[dict[str, Any]]:
    """Of each choice its title and a link to this page with it; `chosen` is that of now."""
    return [
        {
            "title": title,
            "query": urlencode({**chosen, name: value}),
            "chosen": chosen[name] == value,
        }
        for value, title in titles.items()
    ]
