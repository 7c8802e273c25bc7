"""What happens to users, groups and sign-ins, put into the audit log; by Django's signals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from pools.control import audit, clock
from pools.control.audit import Changed
from pools.core.masking import MASK
from pools.models import AuditEntry

# What is told of a row when it changes. A password is not among them: see _saved.
_TOLD: dict[type[Model], tuple[str, ...]] = {
    User: (
        "username",
        "first_name",
        "last_name",
        "email",
        "is_active",
        "is_staff",
        "is_superuser",
    ),
    Group: ("name",),
}
LOCKED_OUT = "was locked out"
_BEFORE = "_audited_before"


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    by = audit.Actor(who=user.get_username(), user=user, address=audit.address(request))
    audit.record("signed in", kind="user", name=user.get_username(), actor=by)


@receiver(user_logged_out)
def _signed_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        by = audit.Actor(who=user.get_username(), user=user, address=audit.address(request))
        audit.record("signed out", kind="user", name=user.get_username(), actor=by)


@receiver(user_login_failed)
def _failed(
    credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    # What is held back is not looked at, and told of once: a flood must not fill the log.
    if not getattr(request, "axes_locked_out", False):
        _of_a_stranger("failed to sign in", credentials.get("username"), request)


@receiver(user_locked_out)
def _locked_out(request: HttpRequest, username: str | None, **kwargs: Any) -> None:
    since = clock.now() - settings.AXES_COOLOFF_TIME
    told = AuditEntry.objects.filter(
        action=LOCKED_OUT, name=_name(username), address=audit.address(request), at__gt=since
    )
    if not told.exists():
        _of_a_stranger(LOCKED_OUT, username, request)


def _of_a_stranger(action: str, name: object, request: HttpRequest | None) -> None:
    """The name is what was typed: it proves nothing of who typed it."""
    address = audit.address(request) if request else ""
    stranger = audit.Actor(who="", address=address)
    audit.record(action, kind="user", name=_name(name), actor=stranger)


def _name(typed: object) -> str:
    return str(typed or "")[:150]


@receiver(pre_save)
def _saving(sender: type[Model], instance: Model, raw: bool = False, **kwargs: Any) -> None:
    if sender in _TOLD and not raw:
        rows = sender._default_manager.filter(pk=instance.pk)
        setattr(instance, _BEFORE, rows.values(*_TOLD[sender]).first())


@receiver(post_save)
def _saved(
    sender: type[Model], instance: Model, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    if sender not in _TOLD or raw:
        return
    before = vars(instance).pop(_BEFORE, None) or {}
    changes = [
        Changed(field=name, old=before.get(name), new=getattr(instance, name))
        for name in _TOLD[sender]
        if (before.get(name) or None) != (getattr(instance, name) or None)
    ]
    # Set by set_password alone, not where a sign-in writes the same one by a newer hash.
    if getattr(instance, "_password", None) is not None:
        changes.append(Changed(field="password", old=None if created else MASK, new=MASK))
    if created or changes:
        _record("added" if created else "changed", instance, changes)


@receiver(post_delete)
def _deleted(sender: type[Model], instance: Model, **kwargs: Any) -> None:
    if sender in _TOLD:
        _record("removed", instance, [])


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
@receiver(m2m_changed, sender=Group.permissions.through)
def _related(
    sender: Any,
    instance: Model,
    action: str,
    reverse: bool,
    model: type[Model],
    pk_set: set[int] | None,
    **kwargs: Any,
) -> None:
    """Groups and permissions that were given or taken, told of whom they were."""
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    field = {
        User.groups.through: "groups",
        User.user_permissions.through: "permissions",
        Group.permissions.through: "permissions",
    }[sender]
    others = _others(sender, instance, model, pk_set, reverse=reverse)
    for row, names in others:
        told = ", ".join(names)
        given = action == "post_add"
        change = Changed(field=field, old=None if given else told, new=told if given else None)
        _record("changed", row, [change])


def _others(
    through: Any, instance: Model, model: type[Model], keys: set[int] | None, *, reverse: bool
) -> Iterator[tuple[Model, list[str]]]:
    """Who got or lost something, with its names: one user or group, or several of the other
    side (`group.user_set.add(...)`)."""
    rows = model._default_manager
    if keys is None:  # cleared
        columns = {each.related_model: each.attname for each in through._meta.concrete_fields}
        own, far = columns[type(instance)], columns[model]
        links = through._default_manager.filter(**{own: instance.pk})
        keys = set(links.values_list(far, flat=True))
    found = rows.filter(pk__in=keys)
    if model is Permission:
        found = found.select_related("content_type")
    if not found:
        return
    if reverse:
        for row in found:
            yield row, [_called(instance)]
    else:
        yield instance, sorted(map(_called, found))


def _called(row: Model) -> str:
    """A permission as has_perm names it: its own text is in the language of who reads."""
    if isinstance(row, Permission):
        return f"{row.content_type.app_label}.{row.codename}"
    return str(row)


def _record(action: str, row: Model, changes: list[Changed]) -> None:
    if not audit.setting_up():
        audit.record(action, kind=row._meta.model_name or "", name=str(row), changes=changes)
