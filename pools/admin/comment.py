"""The comment that whoever saves may leave: kept with the revision."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from pools.admin import base

NAME = "_comment"


class CommentForm(forms.Form):
    _comment = forms.CharField(
        label=_("Comment"),
        required=False,
        help_text=_("Optional; kept with the revision."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[NAME].widget = base.text_input()


def of(request: HttpRequest) -> str:
    """What was typed, on one line."""
    return " ".join(request.POST.get(NAME, "").split())


def bound(request: HttpRequest | None) -> forms.BoundField:
    """The field, with what was typed."""
    typed = request is not None and request.method == "POST"
    form = CommentForm(initial={NAME: request.POST.get(NAME, "")} if request and typed else {})
    return form[NAME]
