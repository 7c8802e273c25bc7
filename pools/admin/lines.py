"""Texts of several lines, and lists and mappings as people type them: one value a line.

The stored value stays the plain list or mapping of the document. Reading what is shown
gives back what is stored, and a line that can't be read is named with its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from pools.core import codec, fields, masking
from pools.core.document import Condition, Match
from pools.core.errors import DocumentError

# Not str.splitlines, which also breaks at characters that a header's value may hold.
_BREAK = re.compile(r"\r\n|\r|\n")


class TextField(forms.CharField):
    """A text as it is, but for the line ends that browsers send."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "strip": False})

    def to_python(self, value: Any) -> str:
        return _BREAK.sub("\n", super().to_python(value) or "")


class LinesField(forms.Field):
    """A list of texts; `read` and `shown` of a subclass say what a line is."""

    empty: Any = []

    def prepare_value(self, value: Any) -> Any:
        """The text for the browser: of a stored value, or just what was typed."""
        return value if isinstance(value, str) else "\n".join(self.shown(value or self.empty))

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value or self.collected([])
        found, errors = [], []
        for number, line in enumerate(_BREAK.split(value), start=1):
            if not line.strip():
                continue
            try:
                found.append(self.read(line.strip()))
            except ValueError as error:
                errors.append(
                    _("line %(number)d: %(error)s") % {"number": number, "error": error}
                )
        if errors:
            raise ValidationError(errors)
        try:
            return self.collected(found)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def shown(self, value: Iterable[Any]) -> Iterator[str]:
        """The lines of a stored value."""
        yield from value

    def read(self, line: str) -> Any:
        """The value of one line; raises ValueError with what is wrong."""
        return line

    def collected(self, values: list[Any]) -> Any:
        """The stored value of what was read; raises ValueError where it does not hold."""
        return values


class HostsField(LinesField):
    def read(self, line: str) -> str:
        return fields.route_hosts((line,))[0]


class MethodsField(LinesField):
    def read(self, line: str) -> str:
        return fields.method(line)


class UpgradesField(LinesField):
    def read(self, line: str) -> str:
        return fields.upgrades((line,))[0]


class HeaderNamesField(LinesField):
    def read(self, line: str) -> str:
        return fields.header_remove((line,))[0]


class HeaderSetField(LinesField):
    """A mapping of header names to values: `X-Frame-Options: DENY`."""

    empty: Any = {}

    def shown(self, value: Any) -> Iterator[str]:
        """Secrets masked: `kept` puts them back."""
        for name, text in value.items():
            yield f"{name}: {masking.shown(name, text)}".rstrip()

    def kept(self, values: dict[str, str], stored: dict[str, str]) -> dict[str, str]:
        """What was typed, with the stored value where the mask of a secret was left."""
        known = {name.lower(): text for name, text in stored.items()}
        return {
            name: known.get(name.lower(), text)
            if text == masking.MASK and masking.is_secret(name)
            else text
            for name, text in values.items()
        }

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            typed = self.to_python(data)
        except ValidationError:
            return True
        return bool(self.kept(typed, initial or {}) != (initial or {}))

    def read(self, line: str) -> tuple[str, str]:
        name, colon, text = line.partition(":")
        if not colon:
            raise ValueError(
                _("%(line)s has no colon: write Name: value") % {"line": repr(line)}
            )
        pair = (name.rstrip(), text.strip())
        fields.header_set((pair,))
        return pair

    def collected(self, values: list[Any]) -> dict[str, str]:
        return dict(fields.header_set(tuple(values)))


class ConditionsField(LinesField):
    """Tests of headers: `X-Version equals 2`, `X-Beta present`."""

    def shown(self, value: Iterable[Any]) -> Iterator[str]:
        for condition in value:
            words = (condition["header"], condition.get("match", Match.EQUALS.value))
            yield " ".join((*words, condition.get("value", ""))).rstrip()

    def read(self, line: str) -> dict[str, Any]:
        header, match, value = (*line.split(maxsplit=2), "", "")[:3]
        known = ", ".join(Match)
        if match.lower() not in list(Match):
            said = _("%(word)s is not a test") if match else _("%(word)s has no test")
            raise ValueError(
                _("%(said)s: after the header write one of %(known)s")
                % {"said": said % {"word": repr(match or line)}, "known": known}
            )
        kind = Match(match.lower())
        bare = kind in (Match.PRESENT, Match.ABSENT)
        if bare and value:
            raise ValueError(
                _("%(test)s takes no value: remove %(value)s, or use %(equals)s")
                % {"test": kind, "value": repr(value), "equals": Match.EQUALS}
            )
        if not bare and not value:
            raise ValueError(
                _("%(test)s needs a value: write %(header)s %(test)s VALUE")
                % {"test": kind, "header": header}
            )
        plain = {"header": header, "match": kind.value, "value": value}
        try:
            condition = codec.parse_part(Condition, plain)
        except DocumentError as error:
            raise ValueError(error.problems[0].message) from None
        return codec.to_plain(condition, defaults=True)
