"""A channel's signing secret is shown once, to who made it; its URL never."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Manager, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from pools.control import audit
from pools.control.audit import Changed
from pools.core.masking import MASK
from pools.models import Channel

# The session holds which channel's is to be shown, not the secret.
_FRESH = "pools_fresh_secret"
_SECRETS = frozenset({"url", "secret"})

RENEWED = Changed(field="signing secret", old=MASK, new=MASK)


def fresh(request: HttpRequest, channel: Channel, before: Channel | None = None) -> None:
    """The next page of the channel shows its secret, where it is not the one of before."""
    if channel.secret and (before is None or before.secret != channel.secret):
        request.session[_FRESH] = channel.pk


def take(request: HttpRequest, channel: Channel) -> None:
    """Let `shown` show the secret on this page, if it is new to this user."""
    if request.session.get(_FRESH) == channel.pk:
        del request.session[_FRESH]
        vars(channel)[_FRESH] = True


def shown(channel: Channel) -> SafeString:
    if not vars(channel).get(_FRESH):
        said = _("set, and not shown again: make a new one where the receiver has lost it")
        return format_html('<span class="pools-reason">{}</span>', said)
    return format_html(
        '<code>{}</code> <span class="pools-reason">{}</span>',
        channel.secret,
        _("Give it to the receiver now: it is shown this once."),
    )


def recorded(channel: Channel, form: forms.ModelForm[Channel], before: Channel | None) -> None:
    """Put a save of the form into the audit log."""
    names = form.changed_data if before else list(form.fields)
    changes = [change for name in names if (change := _change(name, before, form.cleaned_data))]
    if changes or not before:
        done = "changed" if before else "added"
        audit.record(done, kind="channel", name=channel.name, changes=changes)


def _change(name: str, before: Channel | None, data: dict[str, Any]) -> Changed | None:
    old = _plain(getattr(before, name)) if before else None
    new = _plain(data.get(name))
    if old == new:
        return None
    if name in _SECRETS:
        old, new = (MASK if value else None for value in (old, new))
    return Changed(field=name, old=old, new=new)


def _plain(value: Any) -> Any:
    """A value for the log: chosen pools by name."""
    if isinstance(value, Manager):
        value = value.all()
    return sorted(map(str, value)) if isinstance(value, QuerySet) else value
