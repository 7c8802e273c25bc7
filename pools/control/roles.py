"""Roles as groups of Django: what each may do, and how the groups come about.

Rules:
- `make` is called after each `migrate`, of which a first start and an upgrade are one. It may
  run any number of times.
- A role's group is made once. One that was deleted stays so; one of the same name that was
  there before belongs to somebody else, and the role's is then "proxy viewer".
- A permission is given to a group once. One that was taken from it stays taken; one that a
  later version adds to a role is given then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connections, router, transaction

from pools.control import audit
from pools.models import Role

VIEWER, OPERATOR, EDITOR, ADMINISTRATOR = "viewer", "operator", "editor", "administrator"

OPERATE = "pools.operate_backend"

_SEEN = ("pool", "backend", "route", "healthevent", "revision", "alert", "channel", "delivery")
_EDITED = ("pool", "backend", "route", "channel")

_VIEWER = frozenset(f"pools.view_{model}" for model in _SEEN)
_OPERATOR = _VIEWER | {OPERATE}
_EDITOR = (
    _OPERATOR
    | {f"pools.{verb}_{model}" for verb in ("add", "change", "delete") for model in _EDITED}
    | {"pools.restore_revision", "pools.publish_draft"}
)
_ADMINISTRATOR = (
    _EDITOR
    | {f"pools.{verb}_team" for verb in ("view", "add", "change", "delete")}
    | {"pools.see_every_team", "pools.switch_staged", "pools.view_auditentry"}
)

# Each role's permissions, as has_perm names them. A project adds its own with `extend`.
PERMISSIONS: dict[str, frozenset[str]] = {
    VIEWER: _VIEWER,
    OPERATOR: _OPERATOR,
    EDITOR: _EDITOR,
    ADMINISTRATOR: _ADMINISTRATOR,
}


def extend(role: str, permissions: Iterable[str]) -> None:
    """More permissions for a role, of a project's other apps; for use in AppConfig.ready."""
    PERMISSIONS[role] |= frozenset(permissions)


def make(*, using: str = "default", **kwargs: Any) -> None:
    """Groups and permissions that are missing; a receiver of post_migrate."""
    if using != router.db_for_write(Role):
        return
    if Role._meta.db_table not in connections[using].introspection.table_names():
        return  # migrated to before there were roles
    # Ours may be called before those of django.contrib.auth, which make permissions.
    wanted = {name.partition(".")[0] for names in PERMISSIONS.values() for name in names}
    for label in sorted(wanted):
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    ContentType.objects.clear_cache()
    with audit.set_up(), transaction.atomic(using=using):
        for name in PERMISSIONS:
            _make(name)


def _make(name: str) -> None:
    role = Role.objects.filter(name=name).select_related("group").first()
    if role is None:
        role = Role.objects.create(name=name, group=_group(name))
    fresh = PERMISSIONS[name] - set(role.granted)
    if not fresh:
        return
    if role.group:
        role.group.permissions.add(*_rows(fresh))
    role.granted = sorted({*role.granted, *fresh})
    role.save(update_fields=["granted"])


def _group(name: str) -> Group | None:
    """A group of this name that nobody had before."""
    for tried in (name, f"proxy {name}"):
        group, made = Group.objects.get_or_create(name=tried)
        if made:
            return group
    return None


def _rows(names: Iterable[str]) -> list[Permission]:
    wanted = {tuple(name.split(".")) for name in names}
    codes = {code for _, code in wanted}
    found = Permission.objects.filter(codename__in=codes).select_related("content_type")
    return [row for row in found if (row.content_type.app_label, row.codename) in wanted]
