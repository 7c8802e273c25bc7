"""What a user may see: teams that pools and routing rules are given to.

Rules:
- Who has `pools.see_every_team` sees all; so does everybody while there is no team.
- Else who is in teams sees what is theirs, and who is in none what is nobody's.
- Backends, events and the like are seen with their pool; a channel with all of its pools, a
  message with its channel and all that it tells of, a revision with what it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from pools.control.diff import Change
from pools.models import (
    Alert,
    AuditEntry,
    Backend,
    BackendHealth,
    Channel,
    Delivery,
    HealthEvent,
    LatencyBucket,
    Pool,
    ProbeGap,
    ProbeSchedule,
    Revision,
    Route,
    Team,
    Telling,
)

M = TypeVar("M", bound=Model)
User = AbstractBaseUser | AnonymousUser
Teams = frozenset[int]

SEE_ALL = "pools.see_every_team"
CONFIGURATION = ("pool", "backend", "route")  # kinds of audit entries that are of a team


def teams(user: User) -> Teams | None:
    """The keys of the teams whose things this user sees: none for what is nobody's; None
    where the user sees all. Read once for each user object, as its permissions are."""
    found = vars(user)
    if "_pools_teams" not in found:
        found["_pools_teams"] = _teams(user)
    return cast("Teams | None", found["_pools_teams"])


def sees_all(user: User) -> bool:
    return teams(user) is None


def visible(rows: QuerySet[M], user: User) -> QuerySet[M]:
    """Those of the rows that this user may see; raises KeyError for a model without a rule."""
    found = teams(user)
    rule = _RULES[rows.model]
    return rows if found is None else rows.filter(rule(found))


def visible_pools(user: User) -> QuerySet[Pool]:
    return visible(Pool.objects.all(), user)


def visible_routes(user: User) -> QuerySet[Route]:
    return visible(Route.objects.all(), user)


def ruled(model: type[Model]) -> bool:
    """Whether rows of the model are seen by some and not by others."""
    return model in _RULES


def _teams(user: User) -> Teams | None:
    allowed = cast(PermissionsMixin, user).has_perm(SEE_ALL)
    if allowed or not Team.objects.exists():
        return None
    own = Team.objects.filter(group__in=cast(PermissionsMixin, user).groups.all()).order_by()
    return frozenset(own.values_list("pk", flat=True))


def _own(path: str) -> Callable[[Teams], Q]:
    """Rows whose team, at `path`, is one of these; without any, rows of no team."""

    def rule(found: Teams) -> Q:
        return Q(**{f"{path}__in": found}) if found else Q(**{f"{path}__isnull": True})

    return rule


def _pools(found: Teams) -> QuerySet[Pool]:
    return Pool.objects.filter(_own("team")(found)).order_by()


def _alert(found: Teams) -> Q:
    """By the pool's name; of a pool that is gone nobody knows whose it was."""
    own = Q(pool__in=_pools(found).values("name"))
    return own if found else own | Q(pool="")


def _channel(found: Teams) -> Q:
    """One that tells of these pools alone."""
    chosen = Channel.pools.through._default_manager.filter(channel=OuterRef("pk"))
    others = chosen.exclude(pool__in=_pools(found).values("pk"))
    own = Q(every_pool=False) & ~Q(Exists(others))
    return own & Q(Exists(chosen)) if found else own


def _delivery(found: Teams) -> Q:
    told = Telling.objects.filter(delivery=OuterRef("pk")).order_by()
    others = told.exclude(alert__in=Alert.objects.filter(_alert(found)).order_by().values("pk"))
    channels = Channel.objects.filter(_channel(found)).order_by().values("pk")
    return Q(channel__in=channels) & ~Q(Exists(others))


def _entry(found: Teams) -> Q:
    return Q(kind__in=CONFIGURATION) & _own("team")(found)


def _revision(found: Teams) -> Q:
    entries = AuditEntry.objects.filter(_entry(found), revision=OuterRef("number")).order_by()
    return Q(Exists(entries))


_RULES: dict[type[Model], Callable[[Teams], Q]] = {
    Pool: _own("team"),
    Route: _own("team"),
    Backend: _own("pool__team"),
    BackendHealth: _own("backend__pool__team"),
    HealthEvent: _own("backend__pool__team"),
    LatencyBucket: _own("backend__pool__team"),
    ProbeGap: _own("pool__team"),
    ProbeSchedule: _own("pool__team"),
    Alert: _alert,
    Channel: _channel,
    Delivery: _delivery,
    AuditEntry: _entry,
    Revision: _revision,
}


def limit(model: type[Model], user: User) -> Q:
    """As `visible`, as a condition on rows of the model."""
    found = teams(user)
    return Q() if found is None else _RULES[model](found)


def own_changes(user: User, revision: int, changes: Sequence[Change]) -> tuple[Change, ...]:
    """Those changes of a revision that the user may see: by whose things were then."""
    if sees_all(user):
        return tuple(changes)
    entries = visible(AuditEntry.objects.filter(revision=revision), user).order_by()
    heads = {_head(kind, name) for kind, name in entries.values_list("kind", "name")}
    return _within(changes, heads)


def own_pending(user: User, changes: Sequence[Change]) -> tuple[Change, ...]:
    """As `own_changes`, of what is no revision yet: by whose things are now."""
    if sees_all(user):
        return tuple(changes)
    pools, routes = (
        rows.order_by().values_list("name", flat=True)
        for rows in (visible_pools(user), visible_routes(user))
    )
    heads = {_head("pool", name) for name in pools} | {_head("route", name) for name in routes}
    return _within(changes, heads)


def _head(kind: str, name: str) -> str:
    """How paths to a thing begin; a backend's begin as its pool's."""
    return f"routes[{name}]" if kind == "route" else f"pools[{name.partition('/')[0]}]"


def _within(changes: Sequence[Change], heads: set[str]) -> tuple[Change, ...]:
    # Names hold no brackets, so that the first one ends the head of a path.
    return tuple(each for each in changes if each.path.partition("]")[0] + "]" in heads)
