"""What the console is built on: django-unfold where it is installed, else Django's own admin.

All of the console takes its classes from here and none from unfold, so that a project
which mounts the app needs nothing but django.contrib.admin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.apps import apps

__all__ = [
    "ASIDE",
    "UNFOLD",
    "InlineFormSet",
    "ModelAdmin",
    "ModelForm",
    "TabularInline",
    "checkboxes",
    "text_input",
    "textarea",
]

UNFOLD = apps.is_installed("unfold")

# How a fieldset that few need is put away.
ASIDE = ("tab",) if UNFOLD else ("collapse",)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.forms import BaseInlineFormSet as InlineFormSet
    from django.forms import CheckboxSelectMultiple as _Checkboxes
    from django.forms import ModelForm
    from django.forms import Textarea as _Textarea
    from django.forms import TextInput as _TextInput
else:

    class _Generic:
        """Takes the type parameters that only the stubs of Django know."""

        def __class_getitem__(cls, kinds: object) -> type:
            return cls

    if UNFOLD:
        from unfold import admin as look
        from unfold.forms import PaginationInlineFormSet as _InlineFormSet
        from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as _Checkboxes
        from unfold.widgets import UnfoldAdminTextareaWidget as _Textarea
        from unfold.widgets import UnfoldAdminTextInputWidget as _TextInput
    else:
        from django.contrib import admin as look
        from django.contrib.admin.widgets import AdminTextareaWidget as _Textarea
        from django.contrib.admin.widgets import AdminTextInputWidget as _TextInput
        from django.forms import BaseInlineFormSet as _InlineFormSet
        from django.forms import CheckboxSelectMultiple as _Checkboxes

    class ModelAdmin(_Generic, look.ModelAdmin):
        pass

    class TabularInline(_Generic, look.TabularInline):
        pass

    class InlineFormSet(_Generic, _InlineFormSet):
        pass

    class ModelForm(_Generic, forms.ModelForm):
        pass


def textarea(rows: int) -> forms.Textarea:
    """A text area for values of one line each."""
    return _Textarea(attrs={"rows": rows, "spellcheck": "false"})


def text_input() -> forms.TextInput:
    return _TextInput()


def checkboxes() -> forms.CheckboxSelectMultiple:
    return _Checkboxes()
