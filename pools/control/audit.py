"""Who did what: entries of the audit log.

Rules:
- An entry is written in the transaction of what it tells: both are there or neither.
- Texts are English, whatever language is read; secrets are masked before they come here
  (pools.core.masking).
- Who acts is who sent the request that this thread serves (`acting`), else the user of the
  operating system that runs a command.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.translation import gettext_noop as _

from pools import site
from pools.control import clock
from pools.control.diff import Change, place
from pools.core.headers import HeaderRules
from pools.models import AuditEntry, Team
from pools.models import Pool as PoolRow
from pools.models import Route as RouteRow

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# What filters offer; others may be recorded too.
ACTIONS = (
    _("added"),
    _("changed"),
    _("removed"),
    _("probed"),
    _("drafted"),
    _("restored"),
    _("published"),
    _("discarded"),
    _("switched"),
    _("tested"),
    _("signed in"),
    _("failed to sign in"),
    _("was locked out"),
    _("let in again"),
    _("signed out"),
    _("gave a one-time code"),
    _("gave a wrong one-time code"),
    _("used a recovery code"),
    _("made new recovery codes"),
    _("turned one-time codes on"),
    _("turned one-time codes off"),
)
KINDS = (
    _("pool"),
    _("backend"),
    _("route"),
    _("revision"),
    _("draft"),
    _("channel"),
    _("team"),
    _("user"),
    _("group"),
)

_acting: ContextVar[HttpRequest | None] = ContextVar("pools_acting", default=None)
_setting_up: ContextVar[bool] = ContextVar("pools_setting_up", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A value that became another one; None: there was none, or is none now."""

    field: str
    old: Any = None
    new: Any = None

    def plain(self) -> dict[str, Any]:
        return {"field": self.field, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and from where; `user` None: nobody who is signed in."""

    who: str
    user: User | None = None
    address: str = ""


@contextmanager
def acting(request: HttpRequest) -> Iterator[None]:
    """What is done in here is done by who sent this request."""
    token = _acting.set(request)
    try:
        yield
    finally:
        _acting.reset(token)


@contextmanager
def set_up() -> Iterator[None]:
    """What the program makes for itself in here is nobody's act."""
    token = _setting_up.set(True)
    try:
        yield
    finally:
        _setting_up.reset(token)


def setting_up() -> bool:
    return _setting_up.get()


def record(
    action: str,
    *,
    kind: str = "",
    name: str = "",
    changes: Iterable[Changed] = (),
    actor: Actor | None = None,
    revision: int | None = None,
    team: int | None = None,
) -> AuditEntry:
    """Write an entry. `action` is a past participle ("changed", "signed in"), `kind` and `name`
    say of what ("backend", "web/10.0.0.1:80"), `team` whose it is."""
    by = actor or current()
    return AuditEntry.objects.create(
        at=clock.now(),
        user=by.user,
        who=by.who,
        address=by.address,
        action=action,
        kind=kind,
        name=name,
        changes=[change.plain() for change in changes],
        revision=revision,
        team_id=team,
    )


def published(changes: Iterable[Change], *, revision: int, who: str, user: User | None) -> None:
    """An entry for each pool, backend and routing rule that a revision changed."""
    by = Actor(who=who, user=user, address=current().address)
    done = _done(changes)
    teams = _teams(done)
    AuditEntry.objects.bulk_create(
        AuditEntry(
            at=clock.now(),
            user=by.user,
            who=by.who,
            address=by.address,
            action=each.action,
            kind=each.kind,
            name=each.name,
            changes=[change.plain() for change in each.changes],
            revision=revision,
            team_id=teams[each.owner],
        )
        for each in done
    )


def current() -> Actor:
    """Who acts now."""
    request = _acting.get()
    if request is None:
        return Actor(who=f"command ({_system_user()})")
    return actor(request)


def actor(request: HttpRequest) -> Actor:
    """Who sent a request."""
    user: Any = getattr(request, "user", None) or AnonymousUser()
    known = user if user.is_authenticated else None
    return Actor(who=user.get_username(), user=known, address=address(request))


def address(request: HttpRequest) -> str:
    """The client's, as proxied requests have it: by POOLS_TRUSTED_PROXIES."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    headers = (
        [(b"x-forwarded-for", forwarded.encode("latin-1", "replace"))] if forwarded else []
    )
    origin = _header_rules().origin(
        peer=request.META.get("REMOTE_ADDR", ""), scheme="http", host=b"", headers=headers
    )
    return origin.client


@cache
def _header_rules() -> HeaderRules:
    return site.header_rules()


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


# --- what a revision changed -----------------------------------------------------------------


@dataclass(slots=True)
class _Done:
    action: str
    kind: str
    name: str
    changes: list[Changed] = field(default_factory=list)

    @property
    def owner(self) -> tuple[str, str]:
        """The kind and name of what has a team: a backend's is its pool's."""
        return ("pool" if self.kind == "backend" else self.kind), self.name.partition("/")[0]


def _done(changes: Iterable[Change]) -> list[_Done]:
    """What became of each pool, backend and route; a whole pool counts its backends."""
    found: dict[tuple[str, str], _Done] = {}
    for change in changes:
        kind, name, address, column = place(change.path)
        pool = found.get(("pool", name))
        if address:
            kind, name = "backend", f"{name}/{address}"
        if kind == "backend" and pool and pool.action != "changed":
            _count(pool)
        elif column:
            done = found.setdefault((kind, name), _Done("changed", kind, name))
            done.changes.append(Changed(field=column, old=change.old, new=change.new))
        else:
            action = "added" if change.kind == "+" else "removed"
            found[kind, name] = _Done(action, kind, name)
    return list(found.values())


def _count(pool: _Done) -> None:
    """One more backend that came or went with its pool."""
    (before,) = pool.changes or (Changed(field="backends", old=0, new=0),)
    step = (0, 1) if pool.action == "added" else (1, 0)
    pool.changes = [
        Changed(field="backends", old=before.old + step[0], new=before.new + step[1])
    ]


def _teams(done: Sequence[_Done]) -> dict[tuple[str, str], int | None]:
    """Whose each thing is, by kind and name; of what is gone, whose it was last."""
    owners = {each.owner for each in done}
    found: dict[tuple[str, str], int | None] = {}
    for kind, rows in (
        ("pool", PoolRow.objects.order_by()),
        ("route", RouteRow.objects.order_by()),
    ):
        names = [name for of, name in owners if of == kind]
        there = rows.filter(name__in=names).values_list("name", "team_id")
        found |= {(kind, name): team for name, team in there}
    for kind in ("pool", "route"):
        gone = [name for of, name in owners - found.keys() if of == kind]
        last = last_teams(kind, gone)
        found |= {(kind, name): last.get(name) for name in gone}
    return found


def last_teams(kind: str, names: Iterable[str]) -> dict[str, int]:
    """The teams that things of these names belonged to when they were last changed; of those
    teams that are still there."""
    names = list(names)
    teams = set(Team.objects.order_by().values_list("pk", flat=True)) if names else set()
    if not teams:
        return {}
    entries = AuditEntry.objects.filter(kind=kind, name__in=names).order_by("at", "pk")
    last = dict(entries.values_list("name", "team_id"))
    return {name: team for name, team in last.items() if team in teams}
