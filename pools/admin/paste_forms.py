"""The forms of pasted backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base
from pools.control import pasting
from pools.control.pasting import Line
from pools.core import document
from pools.core.document import ProbeKind
from pools.models import Pool, Team
from pools.models.parts import choices


class PasteForm(forms.Form):
    """Lines of backends for `pool`."""

    lines = forms.CharField(
        label=gettext_lazy("Backends"),
        widget=base.textarea(rows=8),
        strip=False,
        error_messages={"required": gettext_lazy("Paste at least one line.")},
        help_text=gettext_lazy(
            "One a line: 10.0.0.1:8000, https://app.example.com, [2001:db8::1]:80, "
            "unix:/run/app.sock; behind it weight=2, state=drain, max_in_flight=20 or backup. "
            "What follows a # is left out."
        ),
    )

    def __init__(self, *args: Any, pool: Pool | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pool = pool
        self.good: list[Line] = []

    def clean_lines(self) -> str:
        text: str = self.cleaned_data["lines"]
        found = pasting.read(text, self._there())
        self.good = [line for line in found if line.backend is not None]
        if len(found) > pasting.MOST:
            said = _("%(count)d lines are too many at once: %(most)d at most.")
            raise ValidationError(said % {"count": len(found), "most": pasting.MOST})
        if wrong := [str(line) for line in found if line.backend is None]:
            raise ValidationError(wrong)
        if not found:
            raise ValidationError(_("There is no backend in it: paste at least one line."))
        return text

    def _there(self) -> Sequence[str]:
        """The addresses that the pool has already."""
        if self.pool is None or self.pool.pk is None:
            return ()
        return [
            row.address
            for row in self.pool.backends(manager="drafted").only("host", "port").order_by()
        ]

    @property
    def backends(self) -> list[document.Backend]:
        """Those of the lines that hold."""
        return [line.backend for line in self.good if line.backend is not None]


class NewPoolForm(PasteForm):
    """A pool with its backends; all else of it has its default, and can be edited then."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=63,
        widget=base.text_input(),
        help_text=gettext_lazy("Letters, digits, '.', '_' and '-'."),
    )
    probe_kind = forms.ChoiceField(
        label=gettext_lazy("Probe"),
        choices=choices(ProbeKind),
        initial=ProbeKind.HTTP.value,
        widget=base.select(),
    )
    probe_path = forms.CharField(
        label=gettext_lazy("Probe path"),
        initial="/",
        required=False,
        widget=base.text_input(),
        help_text=gettext_lazy("What an HTTP probe asks for."),
    )
    field_order = ("name", "team", "probe_kind", "probe_path", "lines")

    def __init__(self, *args: Any, teams: QuerySet[Team] | None = None, **kwargs: Any) -> None:
        """`teams`: those of which one is chosen."""
        super().__init__(*args, **kwargs)
        if teams is not None:
            self.fields["team"] = forms.ModelChoiceField(
                teams, label=_("Team"), widget=base.select()
            )
            self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        self.pool = pool = Pool(
            name=found.get("name", ""),
            probe_kind=found.get("probe_kind", ProbeKind.OFF.value),
            probe_path=found.get("probe_path") or "/",
            team=found.get("team"),
        )
        try:
            pool.full_clean(exclude=[name for name in self.fields if name in self.errors])
        except ValidationError as error:
            for column, said in error.message_dict.items():
                self.add_error(column if column in self.fields else None, said)
        return found


class ChoosingForm(PasteForm):
    """Lines for a pool that is chosen by its name, of those that the user sees."""

    pool_name = forms.CharField(
        label=gettext_lazy("Pool"), widget=base.text_input(list="pool-names")
    )
    field_order = ("pool_name", "lines")

    def __init__(self, *args: Any, pools: QuerySet[Pool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pools = pools

    def clean_pool_name(self) -> str:
        name: str = self.cleaned_data["pool_name"]
        self.pool = self._pools.filter(name=name).first()
        if self.pool is None:
            near = self._pools.filter(name__icontains=name).order_by("name")[:3]
            mend = _("did you mean %(names)s?") % {"names": ", ".join(map(str, near))}
            said = _("There is no pool %(name)s") % {"name": name}
            raise ValidationError(f"{said}: {mend}" if near else f"{said}.")
        return name
