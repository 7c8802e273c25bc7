"""Tags of pools and routes: typed in one line, shown as words, filtered by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base
from pools.core import fields

# A filter with more links than this would be longer than the list.
FILTER_MOST = 50
_BETWEEN = re.compile(r"[,\s]+")


class TagsField(forms.CharField):
    """A list of tags in one line, with spaces or commas between them."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else " ".join(value or ())

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return list(value or ())
        words = filter(None, _BETWEEN.split(value.lower()))
        try:
            return list(fields.tags(tuple(words)))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return sorted(initial or ()) != sorted(self.to_python(data or ""))
        except forms.ValidationError:
            return True


def field(column: Field[Any, Any]) -> TagsField:
    """The form's field of the column `tags`."""
    return TagsField(
        required=False,
        label=capfirst(column.verbose_name),
        help_text=_("Words to find it by, with spaces between; nothing is routed by them."),
        initial=column.get_default,
        widget=base.text_input(),
    )


class TagFilter(admin.SimpleListFilter):
    title = gettext_lazy("tag")
    parameter_name = "tag"
    path = "tags"  # from the rows of the list to the column

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(tag, tag) for tag in known(model_admin.get_queryset(request), self.path)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        tag = self.value()
        return queryset.filter(**tagged(tag, self.path)) if tag else queryset


def tagged(tag: str, path: str = "tags") -> dict[str, str]:
    """As arguments of `filter`; of the column's text, as SQLite has no lists to look into."""
    return {f"{path}__icontains": f'"{tag}"'}


def known(rows: QuerySet[Any], path: str = "tags") -> list[str]:
    """The first tags there are, by name; one query."""
    lists = rows.order_by().exclude(**{path: []}).values_list(path, flat=True).distinct()
    return sorted({tag for found in lists for tag in found})[:FILTER_MOST]


def chips(row: Model, tags: Iterable[str]) -> SafeString:
    """Each leads to the list of what has it."""
    page = f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist"
    return format_html_join(
        " ",
        '<a class="pools-tag" href="{}?tag={}">{}</a>',
        ((reverse(page), tag, tag) for tag in tags),
    )
