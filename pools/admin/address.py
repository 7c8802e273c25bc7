"""How people type the address of a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Field
from django.http import HttpRequest

if TYPE_CHECKING:
    from django.contrib.admin.options import BaseModelAdmin

    from pools.models import Backend

    _Base = BaseModelAdmin[Backend]
else:
    _Base = object


class PortField(forms.IntegerField):
    """A port; left empty, for a Unix socket, it is stored as 0."""

    def prepare_value(self, value: Any) -> Any:
        return None if value == 0 else value

    def to_python(self, value: Any) -> int:
        return super().to_python(value) or 0


class Typed(_Base):
    """For a form of backends: the port may be left empty."""

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "port":
            kwargs["form_class"] = PortField
        return super().formfield_for_dbfield(db_field, request, **kwargs)
