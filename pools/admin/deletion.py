"""What the admin says before it deletes.

Django lists every row that goes along; here that would be thousands of health events,
which nobody may delete by themselves. So only configuration is listed, and only its
permissions are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.contrib.admin import AdminSite
from django.db.models import Model, QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from pools.admin import staging
from pools.admin.sentences import named
from pools.control.teams import visible
from pools.models import Backend, Channel, Pool, Route

# As ModelAdmin.get_deleted_objects: what goes (nested), how many of each kind, the kinds
# that this user may not delete, and what stands in the way.
Deletion = tuple[list[Any], dict[str, int], set[str], list[str]]


def of_pools(
    pools: Sequence[Pool] | QuerySet[Pool], request: HttpRequest, site: AdminSite
) -> Deletion:
    """Pools go with their backends, and not while a routing rule leads to them."""
    rows = list(pools)
    # Anew, as the console prefetches those alone that this user may see.
    rows = list(Pool.drafted.filter(pk__in=[row.pk for row in rows]))
    prefetch_related_objects(rows, "backends")
    led = _led_to(rows, request)
    seen = set(visible(Route.drafted.all(), request.user).values_list("pk", flat=True))
    listing: list[Any] = []
    protected: list[str] = []
    count = 0
    for pool in rows:
        backends = list(pool.backends.all())
        count += len(backends)
        listing += [named(pool), [named(backend) for backend in backends]]
        protected += [
            _in_the_way(route, pool, seen=route.pk in seen) for route in led.get(pool.pk, ())
        ]
    counts = {_("pools"): len(rows)} | ({_("backends"): count} if count else {})
    kinds = [Pool, Backend] if count else [Pool]
    return listing, counts, _lacking(kinds, request, site), protected


def _led_to(pools: Sequence[Pool], request: HttpRequest) -> dict[int, list[Route]]:
    """The routing rules that lead to pools; in staged mode, as the draft has it."""
    if staging.staged(request):
        routes = Route.drafted.all().overlaid().not_removed()
    else:
        routes = Route.drafted.filter(pool__in=pools)
    found: dict[int, list[Route]] = {}
    for route in routes:
        found.setdefault(route.pool_id, []).append(route)
    return found


def _in_the_way(route: Route, pool: Pool, *, seen: bool) -> str:
    """Another team's is not named."""
    if not seen:
        return _("A routing rule of another team leads to %(pool)s.") % {"pool": pool}
    return format_html(
        '<a href="{}">{}</a>: {}',
        reverse("admin:pools_route_change", args=(route.pk,)),
        named(route),
        _("delete it first, or lead it to another pool than %(pool)s") % {"pool": pool},
    )


def of_backends(
    backends: Sequence[Backend] | QuerySet[Backend], request: HttpRequest, site: AdminSite
) -> Deletion:
    rows = list(backends)
    counts = {_("backends"): len(rows)}
    return [named(row) for row in rows], counts, _lacking([Backend], request, site), []


def of_channels(
    channels: Sequence[Channel] | QuerySet[Channel], request: HttpRequest, site: AdminSite
) -> Deletion:
    """Channels go with what was sent and what waits."""
    rows = list(channels)
    counts = {_("channels"): len(rows)}
    return [named(row) for row in rows], counts, _lacking([Channel], request, site), []


def _lacking(kinds: Sequence[type[Model]], request: HttpRequest, site: AdminSite) -> set[str]:
    return {
        str(kind._meta.verbose_name)
        for kind in kinds
        if not cast(Any, site.get_model_admin(kind)).has_delete_permission(request)
    }
