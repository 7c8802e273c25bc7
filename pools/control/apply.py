"""A document to rows."""

from __future__ import annotations

from django.db import transaction

from pools.core import document
from pools.models import Backend, Pool, Route


@transaction.atomic
def apply(wanted: document.Document) -> None:
    """Make the rows say the document, within one transaction.

    Rows are matched by name, backends by host and port: what stays keeps its row and so
    its health. For use within `publish.change`, which checks and publishes the result.
    """
    pools = {row.name: row for row in Pool.objects.prefetch_related("backends")}
    for pool in wanted.pools:
        row = pools.setdefault(pool.name, Pool())
        _save(row, pool)
        _apply_backends(row, pool)
    _apply_routes(wanted, pools)
    # After the routes, which hold on to their pools.
    kept = {pool.name for pool in wanted.pools}
    gone = [row.pk for name, row in pools.items() if name not in kept]
    Pool.objects.filter(pk__in=gone).delete()


def _apply_backends(row: Pool, pool: document.Pool) -> None:
    rows = {(backend.host, backend.port): backend for backend in row.backends.all()}
    created = []
    for backend in pool.backends:
        found = rows.pop((backend.host, backend.port), None)
        if found:
            _save(found, backend)
        else:
            new = Backend(pool=row)
            new.assign(backend)
            created.append(new)
    Backend.objects.filter(pk__in=[gone.pk for gone in rows.values()]).delete()
    Backend.objects.bulk_create(created)


def _apply_routes(wanted: document.Document, pools: dict[str, Pool]) -> None:
    rows = {row.name: row for row in Route.objects.all()}
    for route in wanted.routes:
        row = rows.pop(route.name, None) or Route()
        pool = pools[route.pool]
        moved = row.pool_id != pool.pk
        row.pool = pool
        _save(row, route, moved=moved)
    Route.objects.filter(pk__in=[gone.pk for gone in rows.values()]).delete()


def _save(
    row: Pool | Backend | Route,
    part: document.Pool | document.Backend | document.Route,
    *,
    moved: bool = False,
) -> None:
    if row.assign(part) or moved:
        row.save()
