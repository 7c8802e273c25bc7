"""A document to rows.

Rules:
- Rows are matched by name, backends by host and port: what stays keeps its row and so its
  health, and what is the same is not written.
- An object that a draft adds and the document names is the document's from then on. All else
  of a draft stays as it is, but for what hangs on a row that goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models, transaction

from pools.control import audit
from pools.control.drafts import adopt, check_unheld
from pools.core import document
from pools.models import Backend, Pool, Route
from pools.models.parts import PartModel


@transaction.atomic
def apply(wanted: document.Document) -> None:
    """Make the rows in force say the document, within one transaction.

    What comes back after it was gone is its team's again. For use within `publish.change`,
    which checks and publishes the result. Raises DocumentError where a draft holds on to a
    pool that is to go.
    """
    pools = _apply_pools(wanted)
    _apply_backends(wanted, pools)
    _apply_routes(wanted, pools)
    # After the routes, which hold on to their pools.
    kept = {pool.name for pool in wanted.pools}
    gone = [row for name, row in pools.items() if name not in kept and row.published]
    check_unheld(gone)
    _delete(Pool, gone)


def _apply_pools(wanted: document.Document) -> dict[str, Pool]:
    """All pools by name, with those that are to go."""
    rows = {row.name: row for row in Pool.drafted.all()}
    teams = audit.last_teams("pool", {part.name for part in wanted.pools} - rows.keys())
    new = []
    for part in wanted.pools:
        row = rows.get(part.name)
        if row is None:
            rows[part.name] = row = Pool(team_id=teams.get(part.name))
            new.append(row)
            row.assign(part)
        elif adopt(row) | row.assign(part):
            row.save()
    Pool.objects.bulk_create(new)
    return rows


def _apply_backends(wanted: document.Document, pools: dict[str, Pool]) -> None:
    rows = {(row.pool_id, row.host, row.port): row for row in Backend.drafted.all()}
    new = []
    for pool in wanted.pools:
        for part in pool.backends:
            row = rows.pop((pools[pool.name].pk, part.host, part.port), None)
            if row is None:
                row = Backend(pool=pools[pool.name])
                row.assign(part)
                new.append(row)
            elif adopt(row) | row.assign(part):
                row.save()
    _delete(Backend, rows.values())
    Backend.objects.bulk_create(new)


def _apply_routes(wanted: document.Document, pools: dict[str, Pool]) -> None:
    rows = {row.name: row for row in Route.drafted.all()}
    teams = audit.last_teams("route", {part.name for part in wanted.routes} - rows.keys())
    new = []
    for part in wanted.routes:
        pool = pools[part.pool]
        row = rows.pop(part.name, None)
        if row is None:
            row = Route(pool=pool, team_id=teams.get(part.name))
            row.assign(part)
            new.append(row)
        else:
            moved, row.pool = row.pool_id != pool.pk, pool
            if adopt(row) | row.assign(part) | moved:
                row.save()
    _delete(Route, rows.values())
    Route.objects.bulk_create(new)


def _delete(model: type[models.Model], rows: Iterable[PartModel]) -> None:
    gone = [row.pk for row in rows if row.published]
    if gone:
        model._default_manager.filter(pk__in=gone).delete()
