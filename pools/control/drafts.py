"""Staged mode: edits gather as a draft, and come into force together.

Rules:
- What is in force is never touched by a draft (pools.models.drafting). `Drafting.keep` and
  `remove` write what was wished beside it; `publish` moves it into force in one change.
- A draft as a whole compiles whenever it was written: what does not hold is refused with the
  same reasons, at the same places, as a change that comes into force.
- Writers of drafts and of what is in force take turns: both lock PublishedState.
- What an operator does (states, weights, by actions and commands) is no draft: it is in force
  at once, in both modes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from pools import conf
from pools.control import audit, compile, publish
from pools.control.publish import Outcome
from pools.core.document import Document
from pools.core.errors import DocumentError, Problem
from pools.models import Backend, Draft, Pool, PublishedState, Route
from pools.models.draft import DraftKind
from pools.models.parts import PartModel

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# What hangs on others comes after them: in this order rows are made, in the other removed.
MODELS: tuple[type[PartModel], ...] = (Pool, Backend, Route)


def staged() -> bool:
    """Whether edits gather as a draft: as was switched, else as POOLS_STAGED says."""
    rows = PublishedState.objects.filter(pk=PublishedState.KEY)
    chosen = rows.values_list("staged", flat=True).first()
    return conf.current().staged if chosen is None else chosen


def waiting() -> QuerySet[Draft]:
    """What waits, the first that was edited first."""
    return Draft.objects.select_related("pool", "backend__pool", "route", "user")


def count() -> int:
    return Draft.objects.count()


def path(draft: Draft) -> str:
    """The object as differences name it: pools[web].backends[10.0.0.1:80]."""
    row = draft.target
    if isinstance(row, Backend):
        return f"pools[{row.pool.name}].backends[{row.address}]"
    return f"{'pools' if isinstance(row, Pool) else 'routes'}[{row}]"


class SwitchError(ValueError):
    """Staged mode cannot be switched off; one line that says why, and the mend."""


def switch(*, on: bool) -> None:
    """Switch staged mode. Raises SwitchError where a draft waits that would be forgotten."""
    with transaction.atomic():
        PublishedState.lock()
        was = staged()
        if not on and (found := count()):
            raise SwitchError(
                f"a draft waits ({_changes(found)}): publish it or throw it away first"
            )
        PublishedState.objects.update(staged=on)
        if was != on:
            changed = audit.Changed(field="staged mode", old=was, new=on)
            audit.record("switched", kind="draft", changes=[changed])


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """Who writes, in `draft`."""

    who: str
    user: User | None = None
    comment: str = ""

    def keep(self, row: PartModel) -> None:
        """Take the row's values as the draft's; what no draft has (whose it is) is in force
        at once. Nothing is kept of a row that is as it is in force."""
        model = type(row)
        live = model.drafted.filter(pk=row.pk).first() if row.pk else None
        columns = model.draft_columns()
        if live is None or not live.published:
            row.published = False
            row.save()
            self._note(row, {})
            return
        differing = {
            name: getattr(row, name)
            for name in columns
            if getattr(row, name) != getattr(live, name)
        }
        beside = [
            field.attname
            for field in model._meta.concrete_fields
            if field.attname not in (*columns, "id", "published")
            and getattr(row, field.attname) != getattr(live, field.attname)
        ]
        if beside:
            model.drafted.filter(pk=row.pk).update(
                **{name: getattr(row, name) for name in beside}
            )
        if differing:
            self._note(row, differing, known=live)
        else:
            _of(row).delete()

    def remove(self, row: PartModel) -> None:
        """Remove the row when the draft is published; at once where it is in none but it."""
        if row.published:
            self._note(row, {}, removed=True)
        else:
            _delete([row])

    def _note(
        self,
        row: PartModel,
        values: dict[str, Any],
        *,
        removed: bool = False,
        known: PartModel | None = None,
    ) -> None:
        """`known`: the row as it is in force, by whose name it is told of."""
        which: dict[str, Any] = {_name(row): row}
        noted = {
            "values": values,
            "removed": removed,
            "who": self.who,
            "user": self.user,
            "comment": self.comment,
            "at": timezone.now(),
        }
        Draft.objects.update_or_create(noted, **which)
        by = audit.Actor(who=self.who, user=self.user, address=audit.current().address)
        changes = [
            audit.Changed(field="removed", old=False, new=True)
            if removed
            else audit.Changed(field="edited", new=", ".join(values) or "all of it")
        ]
        _record("drafted", known or row, changes, by)


def adopt(row: PartModel) -> bool:
    """Take a row that a draft adds into force when it is saved next; whether it is one."""
    if row.published:
        return False
    row.published = True
    _of(row).delete()
    return True


@contextmanager
def draft(*, who: str, user: User | None = None, comment: str = "") -> Iterator[Drafting]:
    """Write the draft in here. Raises DocumentError, with everything rolled back, where it
    does not hold at the end."""
    with transaction.atomic():
        PublishedState.lock()
        yield Drafting(who=who, user=user, comment=comment)
        document()


def document() -> Document:
    """The canonical document as the draft has it. Raises DocumentError as compile does."""
    return compile.of_plain(_plain())


def publish_draft(
    chosen: Sequence[Draft], *, who: str, user: User | None = None, comment: str = ""
) -> Outcome:
    """Put these into force as one revision. Raises DocumentError, with nothing changed, where
    they do not hold by themselves."""
    names = [f"{each.target._meta.verbose_name} {each.target}" for each in chosen[:5]]
    more = [f"{len(chosen) - 5} more"] if len(chosen) > 5 else []
    why = f"Published the draft ({_changes(len(chosen))}): {', '.join(names + more)}"
    with publish.change(who=who, user=user, why=why, comment=comment) as outcome:
        _move_or_refuse(chosen)
    return outcome


def discard(chosen: Sequence[Draft]) -> None:
    """Throw these away. Raises DocumentError, with nothing changed, where the rest of the
    draft does not hold without them."""
    with transaction.atomic():
        PublishedState.lock()
        for each in chosen:
            _record("discarded", each.target, [])
        new = [each.target for each in chosen if each.kind is DraftKind.NEW]
        Draft.objects.filter(pk__in=[each.pk for each in chosen]).delete()
        _delete(new)
        document()


def _plain() -> dict[str, Any]:
    names: dict[int, str] = {}
    pools: dict[int, dict[str, Any]] = {}
    for pool in Pool.drafted.all().overlaid():
        names[pool.pk] = pool.name
        if not pool.removed:
            pools[pool.pk] = {**pool.plain(), "backends": []}
    for backend in Backend.drafted.all().overlaid():
        if not backend.removed and backend.pool_id in pools:
            pools[backend.pool_id]["backends"].append(backend.plain())
    routes = []
    for route in Route.drafted.all().overlaid():
        if not route.removed:
            route.pool = Pool(pk=route.pool_id, name=names.get(route.pool_id, ""))
            routes.append(route.plain())
    return {"pools": list(pools.values()), "routes": routes}


def _move_or_refuse(chosen: Sequence[Draft]) -> None:
    """As `_move`; raises DocumentError where what came into force meanwhile stands in the way,
    by a command say, which asks no draft."""
    leads = {each: each.values["pool_id"] for each in chosen if each.values.get("pool_id")}
    there = Pool.drafted.filter(pk__in=set(leads.values())).values_list("pk", flat=True)
    kept = set(there)
    gone = [each for each, pool in leads.items() if pool not in kept]
    if gone:
        said = "the pool that it leads or belongs to is gone: choose another"
        raise DocumentError([Problem((path(each),), said) for each in gone])
    try:
        with transaction.atomic():
            _move(chosen)
    except IntegrityError:
        said = "a name or an address in the draft was taken meanwhile: choose another in it"
        raise DocumentError([Problem((), said)]) from None


def _move(chosen: Sequence[Draft]) -> None:
    """Drafts into columns. Pools go last, so that rules have left them by then."""
    by_kind: dict[DraftKind, list[PartModel]] = {kind: [] for kind in DraftKind}
    edited: dict[int, Draft] = {}
    for each in chosen:
        by_kind[each.kind].append(each.target)
        if each.kind is DraftKind.EDITED:
            edited[id(each.target)] = each
    gone = by_kind[DraftKind.REMOVED]
    _delete([row for row in gone if not isinstance(row, Pool)])
    for row in by_kind[DraftKind.NEW]:
        row.published = True
        row.save(update_fields=["published"])
    _make_way(by_kind[DraftKind.EDITED], edited)
    for row in by_kind[DraftKind.EDITED]:
        values = edited[id(row)].values
        for column, value in values.items():
            setattr(row, column, value)
        row.save(update_fields={*values, *row.identity})
    Draft.objects.filter(pk__in=[each.pk for each in chosen]).delete()
    _delete([row for row in gone if isinstance(row, Pool)])
    _check_whole()


def _make_way(rows: Sequence[PartModel], edited: dict[int, Draft]) -> None:
    """Names that two rows swap are free before either takes the other's."""
    for row in rows:
        columns: list[Any] = [row._meta.get_field(name) for name in row.identity]
        names = {column.attname for column in columns}
        if names & edited[id(row)].values.keys():
            aside: Any = {"port": -row.pk} if "port" in names else {"name": f"~{row.pk}"}
            type(row).drafted.filter(pk=row.pk).update(**aside)


def _check_whole() -> None:
    """Nothing comes into force in a pool that does not."""
    problems = []
    for backend in Backend.objects.filter(pool__published=False).select_related("pool"):
        path = (f"pools[{backend.pool.name}]", f"backends[{backend.address}]")
        problems.append(Problem(path, "its pool is new and not published with it"))
    for route in Route.objects.filter(pool__published=False).select_related("pool"):
        said = f"its pool {route.pool.name} is new and not published with it"
        problems.append(Problem((f"routes[{route.name}]", "pool"), said))
    if problems:
        raise DocumentError(problems)


def _delete(rows: Sequence[PartModel]) -> None:
    """Remove rows for good, routes first; raises DocumentError where rules hold on to one."""
    for model in reversed(MODELS):
        pks = [row.pk for row in rows if isinstance(row, model)]
        if model is Pool:
            check_unheld(rows)
        if pks:
            model.drafted.filter(pk__in=pks).delete()


def check_unheld(rows: Sequence[PartModel]) -> None:
    """Raises DocumentError where a rule, one of the draft too, leads to a pool among these."""
    pools = [row.pk for row in rows if isinstance(row, Pool)]
    held = Route.drafted.filter(pool__in=pools).select_related("pool") if pools else ()
    if problems := [_held(route) for route in held]:
        raise DocumentError(problems)


def _held(route: Route) -> Problem:
    where = "" if route.published else " in the draft"
    return Problem(
        (f"routes[{route.name}]", "pool"),
        f"leads{where} to pool {route.pool.name}, which would go: lead it elsewhere, or remove "
        "it first",
    )


def _name(row: Model) -> str:
    """The draft's field for a row."""
    return str(row._meta.model_name)


def _record(
    action: str, row: PartModel, changes: list[audit.Changed], by: audit.Actor | None = None
) -> None:
    """Put what became of a row's draft into the audit log; values are told once they are in
    force."""
    owner = row.pool if isinstance(row, Backend) else row
    name = row.key if isinstance(row, Backend) else str(row)
    team: int | None = getattr(owner, "team_id", None)
    audit.record(action, kind=_name(row), name=name, changes=changes, actor=by, team=team)


def _of(row: PartModel) -> QuerySet[Draft]:
    return Draft.objects.filter(**{_name(row): row})


def _changes(number: int) -> str:
    return f"{number} change{'' if number == 1 else 's'}"
