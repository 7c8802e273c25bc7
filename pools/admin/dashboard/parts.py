"""What stands on the dashboard, as plain values for its template.

Rules:
- Of each kind of thing one sees what its own admin would show: its queryset, to who may view
  it. Nothing else leads to a name of a pool here.
- The number of queries is fixed, whatever there is; lists are cut, and say of how many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.contrib.admin import AdminSite
from django.contrib.admin.exceptions import NotRegistered
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.admin import health, numbers
from pools.admin.dashboard.warnings import behind
from pools.admin.numbers import lasting
from pools.control import processes, reports
from pools.control.census import Census, Need, Tally
from pools.control.figures import Figures, Rates
from pools.control.processes import TRAFFIC, Told
from pools.core.probing import Verdict
from pools.models import Alert, HealthEvent

M = TypeVar("M", bound=Model)

POOLS_SHOWN = 20
EVENTS_SHOWN = ALERTS_SHOWN = 10
PROCESSES_SHOWN = 30

NO_RATES = Rates(
    requests_per_s=0.0,
    error_share=None,
    p50_ms=None,
    p99_ms=None,
    retries_per_s=0.0,
    in_flight=0,
    ejections=0,
    sent_bytes_per_s=0.0,
    received_bytes_per_s=0.0,
)

# From such a share of errors on it is said to be raised, and high.
_RAISED, _HIGH = 0.01, 0.05


def rows(site: AdminSite, request: HttpRequest, model: type[M]) -> QuerySet[M] | None:
    """Those that the user may view; None: no such page is open to them."""
    try:
        page = site.get_model_admin(model)
    except NotRegistered:
        return None
    return page.get_queryset(request) if page.has_view_permission(request) else None


# --- tiles -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure with its unit; `hint` says in words what `colour` does."""

    name: str
    value: str
    unit: str = ""
    hint: str = ""
    colour: str = ""


def tiles(census: Census | None, figures: Figures) -> list[Tile]:
    total = figures.total
    found = [
        Tile(
            name=_("Requests"),
            value=numbers.rate(total.requests_per_s),
            unit=_("/s"),
            hint=_("in the last minute"),
        ),
        Tile(
            name=_("p50"),
            value=numbers.ms(total.p50_ms),
            unit=_("ms"),
            hint=_("half are faster"),
        ),
        Tile(
            name=_("p99"),
            value=numbers.ms(total.p99_ms),
            unit=_("ms"),
            hint=_("99 % are faster"),
        ),
        _errors(total),
    ]
    if census is not None:
        found.append(_up(census))
    connections = numbers.whole(figures.connections)
    return [*found, Tile(name=_("Connections"), value=connections, hint=_("open now"))]


def _errors(total: Rates) -> Tile:
    share = total.error_share or 0.0
    if total.error_share is None:
        colour, hint = "", _("no requests")
    elif share >= _HIGH:
        colour, hint = "down", _("high")
    elif share >= _RAISED:
        colour, hint = "partly", _("raised")
    else:
        colour, hint = "", _("of requests")
    value, _space, unit = numbers.share(total.error_share).rpartition(" ")
    return Tile(
        name=_("Errors"),
        value=value or unit,
        unit=unit if value else "",
        hint=hint,
        colour=colour,
    )


def _up(census: Census) -> Tile:
    unknown = census.total - census.up - census.down
    parts = []
    if census.down:
        parts.append(_("%(count)s down") % {"count": numbers.whole(census.down)})
    if unknown:
        parts.append(_("%(count)s unknown") % {"count": numbers.whole(unknown)})
    return Tile(
        name=_("Backends up"),
        value=numbers.whole(census.up),
        unit=_("of %(total)s") % {"total": numbers.whole(census.total)},
        hint=", ".join(parts) or (_("all of them") if census.total else _("none yet")),
        colour="down" if census.down else "",
    )


# --- pools -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    name: str
    page: str
    health: SafeString
    need: str
    colour: str
    requests: str
    p50: str
    p99: str
    errors: str
    in_flight: str
    retries: str
    ejections: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The first of `total` rows."""

    rows: Sequence[Any]
    total: int

    @property
    def whole(self) -> bool:
        return len(self.rows) >= self.total

    @property
    def told(self) -> str:
        """ "20 of 1,000" """
        shown, total = numbers.whole(len(self.rows)), numbers.whole(self.total)
        return _("%(shown)s of %(total)s") % {"shown": shown, "total": total}


_Key = Callable[[Tally, Rates], tuple[Any, ...]]

_ORDERS: dict[str, _Key] = {
    "attention": lambda pool, rates: (
        pool.need,
        -(rates.error_share or 0),
        -rates.requests_per_s,
        pool.name,
    ),
    "name": lambda pool, rates: (pool.name,),
    "requests": lambda pool, rates: (-rates.requests_per_s, pool.name),
    "p99": lambda pool, rates: (-(rates.p99_ms or 0), pool.name),
    "errors": lambda pool, rates: (-(rates.error_share or 0), pool.name),
}


def order_of(request: HttpRequest) -> str:
    found = request.GET.get("order", "attention")
    return found if found in _ORDERS else "attention"


def orders() -> dict[str, str]:
    """Each order's name, as links have it, and its title."""
    return {
        "attention": _("needing attention"),
        "requests": _("most requests"),
        "p99": _("slowest"),
        "errors": _("most errors"),
        "name": _("name"),
    }


def pools(census: Census, figures: Figures, order: str) -> Cut:
    key = _ORDERS[order]
    pairs = ((pool, figures.pools.get(pool.name, NO_RATES)) for pool in census.pools)
    first = sorted(pairs, key=lambda pair: key(*pair))[:POOLS_SHOWN]
    shown = tuple(_pool_row(pool, rates) for pool, rates in first)
    return Cut(rows=shown, total=len(census.pools))


def _pool_row(pool: Tally, rates: Rates) -> PoolRow:
    need, colour = _need(pool)
    return PoolRow(
        name=pool.name,
        page=reverse("admin:pools_pool_change", args=(pool.pk,)),
        health=health.tallied(pool),
        need=need,
        colour=colour,
        requests=numbers.rate(rates.requests_per_s),
        p50=numbers.ms(rates.p50_ms),
        p99=numbers.ms(rates.p99_ms),
        errors=numbers.share(rates.error_share),
        in_flight=numbers.whole(rates.in_flight),
        retries=numbers.rate(rates.retries_per_s),
        ejections=numbers.whole(rates.ejections),
    )


def _need(pool: Tally) -> tuple[str, str]:
    match pool.need:
        case Need.EMPTY:
            return _("requests are refused"), "down"
        case Need.PANIC:
            return _("panic"), "down"
        case Need.DOWN:
            words = ngettext("%(count)d down", "%(count)d down", pool.ready_down)
            return words % {"count": pool.ready_down}, "down"
        case Need.UNPROBED:
            return _("not probed"), "unknown"
    return "", ""


# --- what happened ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    what: str
    page: str
    detail: str
    lasts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    at: str
    backend: str
    page: str
    old: SafeString
    new: SafeString
    reason: str


def alerts(found: QuerySet[Alert], now: datetime) -> Cut:
    """Those that are open, the newest first."""
    still = found.filter(ended_at=None).prefetch_related(None)
    shown = tuple(
        AlertRow(
            what=str(alert),
            page=reverse("admin:pools_alert_change", args=(alert.pk,)),
            detail=alert.detail,
            lasts=lasting(now - alert.begun_at),
        )
        for alert in still.order_by("-begun_at", "-pk")[:ALERTS_SHOWN]
    )
    return Cut(rows=shown, total=still.order_by().count())


def events(found: QuerySet[HealthEvent]) -> Sequence[EventRow]:
    newest = found.select_related("backend__pool").order_by("-at", "-pk")[:EVENTS_SHOWN]
    return tuple(
        EventRow(
            at=health.moment(event.at),
            backend=event.backend.key,
            page=reverse("admin:pools_backend_change", args=(event.backend_id,)),
            old=health.badge(Verdict(event.old)),
            new=health.badge(Verdict(event.new)),
            reason=event.reason,
        )
        for event in newest
    )


# --- processes -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """`state` in a word, and its `colour`; `revision` only of those that carry traffic. It
    `runs` for so long, and `began` then."""

    kind: str
    name: str
    runs: str
    began: str
    revision: str
    state: str
    colour: str
    seen: str


def running(told: Sequence[Told], number: int) -> Cut:
    """The living, and the gone that are not forgotten yet; who is not well first."""
    late = {str(one) for one in behind(told, number)}
    found = [_process(one, number, late=str(one) in late) for one in told]
    found.sort(key=lambda row: (row.colour == "up", row.kind, row.name))
    return Cut(rows=tuple(found[:PROCESSES_SHOWN]), total=len(found))


def _process(told: Told, number: int, *, late: bool) -> ProcessRow:
    carries = told.kind in TRAFFIC
    revision = reports.revision(told)
    if not told.living:
        state, colour = _("gone"), "unknown"
    elif late:
        count = number - revision
        words = ngettext("%(count)d revision behind", "%(count)d revisions behind", count)
        state, colour = words % {"count": count}, "partly"
    elif told.report.get("broker"):
        state, colour = _("no broker"), "down"
    else:
        state, colour = _("in force") if carries else _("at work"), "up"
    age_s = max(told.age_s, 0.0)
    return ProcessRow(
        kind=told.kind.value,
        name=told.name,
        runs=lasting(told.seen_at - told.started_at),
        began=health.moment(told.started_at),
        revision=str(revision) if carries else "",
        state=state,
        colour=colour,
        seen=_("now")
        if age_s < processes.PULSE_S + 1
        else _("%(seconds)d s ago") % {"seconds": age_s}
        if age_s < 120
        else health.moment(told.seen_at),
    )
