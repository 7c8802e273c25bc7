"""Secrets in header fields of rules and probes: typed, and never shown again.

A form shows a mask in their place; a line that is left as it is keeps its value. Who may only
look gets the mask alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext as _

from pools.admin import lines
from pools.core import masking

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Any]
else:
    _Base = object

COLUMNS = ("request_headers_set", "response_headers_set", "probe_headers", "conditions")


def keep(form: forms.ModelForm[Any]) -> None:
    """Put the stored values where a form's masks are; for use before its instance is made."""
    for name, field in form.fields.items():
        if not isinstance(field, lines.HeaderSetField) or name not in form.cleaned_data:
            continue
        stored = getattr(form.instance, name)
        form.cleaned_data[name] = field.kept(form.cleaned_data[name], stored)
        for header, value in form.cleaned_data[name].items():
            if value == masking.MASK and masking.is_secret(header):
                said = _("%(header)s: type its value, there is none to keep.")
                form.add_error(name, said % {"header": header})
                break


class Masked(_Base):
    """For an admin of rows with header fields."""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found and not self.has_change_permission(request, found):
            for name in COLUMNS:
                if hasattr(found, name):
                    setattr(found, name, _shown(getattr(found, name)))
        return found


def _shown(value: Any) -> Any:
    return masking.fields(value) if isinstance(value, dict) else masking.plain(value)
