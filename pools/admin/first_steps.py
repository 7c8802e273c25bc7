"""From an empty installation to the first proxied request, ticked off step by step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.urls import reverse
from django.utils.translation import gettext as _

from pools.admin import health
from pools.control import clock, figures, processes, reports
from pools.core.fields import host_port
from pools.core.probing import Verdict
from pools.models import Backend, BackendHealth, Pool, Revision, Route
from pools.models.process import ProcessKind

# Who has kept it for so long needs no first steps, even where nothing comes at the moment.
BEGINNER = timedelta(days=7)
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_LOOKED_AT = 200  # backends, of the newest pools: one that is up is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`link` leads to where it is done, with the words of its button; `code` is a command for a
    terminal. Either may be ""."""

    title: str
    text: str
    done: bool
    link: str = ""
    button: str = ""
    code: str = ""


def first_steps(site: str = "") -> tuple[Step, ...]:
    """The steps; none once all are done, or the installation is no longer new.

    `site`: the scheme and host of the page that shows them, where the proxy may answer too.
    A handful of queries, whatever there is.
    """
    first = Revision.objects.order_by("number").values_list("created_at", flat=True).first()
    if first is not None and clock.now() - first > BEGINNER:
        return ()
    pool = Pool.objects.order_by("pk").first()
    route = _route()
    steps = (
        Step(
            title=_("Add your first pool"),
            text=_("Give it a name and its backends: the host and port of each server."),
            done=pool is not None and pool.backends.exists(),
            link=reverse("admin:pools_pool_change", args=(pool.pk,))
            if pool
            else reverse("admin:pools_pool_add"),
            button=_("Add its backends") if pool else _("Add your first pool"),
        ),
        Step(
            title=_("See a backend come up"),
            text=_(
                "Backends are probed once they are saved; the list says what each answered."
            ),
            done=_some_is_up(),
            link=reverse("admin:pools_backend_changelist") if pool else "",
            button=_("See the backends"),
        ),
        Step(
            title=_("Lead a route to it"),
            text=_(
                "A route says which requests go to the pool: by host, path, method and headers."
            ),
            done=route is not None,
            link=reverse("admin:pools_route_add") if pool else "",
            button=_("Add a route"),
        ),
        Step(
            title=_("Send the first request"),
            text=_("It goes through the proxy to a backend; this is ticked within a minute."),
            done=_asked_for(),
            code=curl(route, site) if route else "",
        ),
    )
    return () if all(step.done for step in steps) else steps


def curl(route: Route, site: str = "") -> str:
    """The command that sends a request to a route, by the gateway's address where one runs,
    else by the site's own."""
    base = gateway() or site or "http://127.0.0.1:8080"
    host = route.hosts[0] if route.hosts else ""
    if host.startswith("*."):
        host = f"www{host[1:]}"
    named = f"-H 'Host: {host}' " if host else ""
    method = f"-X {route.methods[0]} " if route.methods and "GET" not in route.methods else ""
    path = route.path_prefix.replace("'", "%27")
    return f"curl {method}{named}'{base}{path}'"


def gateway() -> str:
    """The URL at which a gateway takes requests, reached from its own machine; "" where none
    runs."""
    urls = reports.listens(processes.living(ProcessKind.GATEWAY))
    for url in sorted(urls):  # http before https
        parts = urlsplit(url)
        if parts.hostname and parts.port and parts.hostname != "unix":
            host = _ANYWHERE.get(parts.hostname, parts.hostname)
            return f"{parts.scheme}://{host_port(host, parts.port)}"
    return ""


def _route() -> Route | None:
    """A route that is enabled; one that any request can be led to, if there is one."""
    return Route.objects.filter(enabled=True).order_by("conditions", "pk").first()


def _some_is_up() -> bool:
    """Whether any backend is up; or ready, where its pool has no probe that could say so."""
    up = BackendHealth.objects.filter(verdict=Verdict.UP).order_by("-pk")
    rows = Backend.objects.select_related(*health.WITH).filter(
        pk__in=list(up.values_list("backend", flat=True)[:_LOOKED_AT])
    )
    if any(health.read(row).verdict is Verdict.UP for row in rows):
        return True
    return Backend.objects.filter(pool__probe_kind="off", state="ready").exists()


def _asked_for() -> bool:
    if figures.latest().total.requests_per_s:
        return True
    return any(figures.series("7d").requests_per_s)
