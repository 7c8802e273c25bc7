"""What a form was opened with, so that a save can tell whether somebody else was faster.

Rules:
- A form carries its object's values, and those of its inline rows, as they were when it was
  opened, signed: what comes back is what went out.
- Any difference to what is there at the save stops it. What each made of it is told, and what
  was typed stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core import signing
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.crypto import salted_hmac

from pools.core import masking
from pools.models.parts import PartModel

_SALT = "pools.admin.opened"

Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`row` are the object's values by column; `rows` those of its inline rows, by prefix of
    their formset and key. `revision` was in force then."""

    revision: int
    row: Values
    rows: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)

    def same(self, other: Opened) -> bool:
        """Whether all that a form can change is the same."""
        return self.row == other.row and self.rows == other.rows

    @property
    def digest(self) -> str:
        told = json.dumps([self.row, self.rows], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def signed(self) -> str:
        plain = {"revision": self.revision, "row": self.row, "rows": self.rows}
        return signing.dumps(plain, salt=_SALT, compress=True)


def read(text: str) -> Opened | None:
    """What a form carries; None where it carries nothing that can be read."""
    try:
        plain = signing.loads(text, salt=_SALT)
        return Opened(revision=plain["revision"], row=plain["row"], rows=plain["rows"])
    except (signing.BadSignature, KeyError, TypeError):
        return None


def of(row: PartModel, revision: int, inline: Mapping[str, Iterable[PartModel]]) -> Opened:
    """An object as it is now, with its inline rows by prefix."""
    rows = {
        prefix: {str(each.pk): values(each) for each in found}
        for prefix, found in inline.items()
    }
    return Opened(revision=revision, row=values(row), rows=rows)


def values(row: PartModel) -> Values:
    """All that can be edited of a row, as JSON has it."""
    found = {
        column.attname: told(column.value_from_object(row))
        for column in row._meta.concrete_fields
        if column.editable and not column.primary_key
    }
    plain: Values = json.loads(
        json.dumps({**found, "removed": row.removed}, cls=DjangoJSONEncoder)
    )
    return plain


def told(value: Any) -> Any:
    """A value as forms carry it: whoever reads a page can read that. Of a header field that
    holds a secret it is enough to know whether it is the same."""
    if not isinstance(value, dict):
        return value
    return {
        name: salted_hmac(_SALT, f"{name.lower()}:{text}").hexdigest()
        if masking.is_secret(name) and text
        else text
        for name, text in value.items()
    }


def row_of(model: type[PartModel], found: Values) -> PartModel:
    """A row with these values; not to be saved."""
    return model(**{name: value for name, value in found.items() if name != "removed"})
