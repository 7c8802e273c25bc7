"""What people read of a change: in the list of revisions and in messages.

What is kept is English, whoever made the change: `saved` and `deleted`, and `moved`,
`weighed` and `pasted` where they are called in English.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django import forms
from django.db.models import Model
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.core.document import AdminState
from pools.models import Backend

_MOST = 5
_DID = {
    AdminState.READY: gettext_lazy("Made ready %(names)s"),
    AdminState.DRAIN: gettext_lazy("Drained %(names)s"),
    AdminState.MAINT: gettext_lazy("Put in maintenance %(names)s"),
}


def listed(names: Iterable[str]) -> str:
    """ "a, b and c", cut to a few: "a, b, c, d, e and 7 more"."""
    found = list(names)
    if len(found) > _MOST + 1:
        rest = len(found) - _MOST
        found = [*found[:_MOST], _("%(count)d more") % {"count": rest}]
    if len(found) < 2:
        return "".join(found)
    return _("%(names)s and %(last)s") % {"names": ", ".join(found[:-1]), "last": found[-1]}


@translation.override("en")
def saved(
    form: forms.ModelForm[Any],
    formsets: Iterable[forms.BaseModelFormSet[Any, Any]],
    *,
    change: bool,
) -> str:
    """ "Changed pool web: policy; weight of 10.0.0.1:80; added 10.0.0.2:80"."""
    what = named(form.instance)
    below = [part for formset in formsets for part in _below(formset)]
    if not change:
        return "; ".join((f"Added {what}", *below))
    changed = [listed(_labels(form))] if form.changed_data else []
    return f"Changed {what}: {'; '.join((*changed, *below))}".removesuffix(": ")


@translation.override("en")
def deleted(rows: Sequence[Model]) -> str:
    return f"Deleted {listed(map(named, rows))}"


def moved(backends: Sequence[Backend], state: AdminState) -> str:
    """ "Drained web/10.0.0.1:80 and web/10.0.0.2:80"."""
    return str(_DID[state]) % {"names": listed(backend.key for backend in backends)}


def weighed(backends: Sequence[Backend], weight: int) -> str:
    """ "Set weight 2 of web/10.0.0.1:80"."""
    names = listed(backend.key for backend in backends)
    return _("Set weight %(weight)d of %(names)s") % {"weight": weight, "names": names}


def pasted(pool: Model, added: Iterable[str], *, new: bool) -> str:
    """ "Changed pool web: added 10.0.0.1:80 and 10.0.0.2:80"."""
    values = {"pool": str(pool), "added": listed(added)}
    if new:
        return _("Added pool %(pool)s; added %(added)s") % values
    return _("Changed pool %(pool)s: added %(added)s") % values


def named(row: Model) -> str:
    """ "pool web", "backend web/10.0.0.1:80"."""
    return f"{row._meta.verbose_name} {row}"


def _below(formset: forms.BaseModelFormSet[Any, Any]) -> Iterator[str]:
    """What a formset of backends is about to save."""
    added, removed = [], []
    for form in formset.forms:
        if form in formset.deleted_forms:
            removed.append(form.instance.address)
        elif form.instance.pk is None and form.has_changed():
            added.append(form.instance.address)
        elif form.has_changed():
            yield f"{listed(_labels(form))} of {form.instance.address}"
    if added:
        yield f"added {listed(added)}"
    if removed:
        yield f"removed {listed(removed)}"


def _labels(form: forms.ModelForm[Any]) -> Iterator[str]:
    for name in form.changed_data:
        yield str(form.instance._meta.get_field(name).verbose_name)
