"""What a list says that has no row: what belongs there, and how to begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pools.models import (
    Alert,
    Backend,
    Channel,
    Delivery,
    HealthEvent,
    Pool,
    Revision,
    Route,
    Team,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """`text` is one sentence. The button leads to adding a row of `adds`, for who may."""

    title: str | Promise
    text: str | Promise
    adds: type[Model] | None = None
    button: str | Promise = ""


def _to_pool(title: str | Promise, text: str | Promise) -> Empty:
    return Empty(title=title, text=text, adds=Pool, button=_("Add your first pool"))


def _to_channel(title: str | Promise, text: str | Promise) -> Empty:
    return Empty(title=title, text=text, adds=Channel, button=_("Add a channel"))


def _of_route() -> Empty:
    text = _("A route says which requests go to which pool: by host, path, method and headers.")
    if not Pool.objects.exists():
        return _to_pool(_("No routes yet"), text)
    return Empty(title=_("No routes yet"), text=text, adds=Route, button=_("Add a route"))


_EMPTY: dict[type[Model], Callable[[], Empty]] = {
    Pool: lambda: _to_pool(
        _("No pools yet"),
        _(
            "A pool is a group of backends, the servers that answer your requests, with one "
            "way of sharing the requests among them and one probe."
        ),
    ),
    Backend: lambda: _to_pool(
        _("No backends yet"),
        _("A backend is one host and port that answers requests; it belongs to a pool."),
    ),
    Route: _of_route,
    HealthEvent: lambda: _to_pool(
        _("No events yet"),
        _("Each time that probes find a backend up or down, it is kept here with the reason."),
    ),
    Revision: lambda: _to_pool(
        _("No revisions yet"),
        _("Each change of pools, backends and routes is kept here: who, when and why."),
    ),
    Team: lambda: Empty(
        title=_("No teams yet"),
        text=_(
            "A team is a group of users that pools and routes are given to: they see and "
            "change these alone."
        ),
        adds=Team,
        button=_("Add a team"),
    ),
    Alert: lambda: _to_channel(
        _("No alerts"),
        _(
            "An alert begins when something stays wrong, such as a pool without a backend, and "
            "ends with it; channels say who is told."
        ),
    ),
    Channel: lambda: _to_channel(
        _("No channels yet"),
        _("A channel tells people of alerts: by e-mail, Slack, a webhook or another service."),
    ),
    Delivery: lambda: _to_channel(
        _("Nothing was sent yet"),
        _("Each message to a channel is kept here, with what came of it."),
    ),
}


def of(changelist: Any, user: Any) -> dict[str, Any] | None:
    """What to show in place of the list; None: it has rows, or is of another model.

    One query more, where a list has nothing to show alone.
    """
    make = _EMPTY.get(changelist.model)
    if make is None or changelist.result_count or changelist.root_queryset.exists():
        return None
    empty = make()
    found = {"title": empty.title, "text": empty.text, "steps": changelist.model is Pool}
    if empty.adds is not None:
        opts = empty.adds._meta
        if user.has_perm(f"{opts.app_label}.add_{opts.model_name}"):
            found["link"] = reverse(f"admin:{opts.app_label}_{opts.model_name}_add")
            found["button"] = empty.button
    return found
