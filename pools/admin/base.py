"""What the console is built on: django-unfold where it is installed, else Django's own admin.

All of the console takes its classes from here and none from unfold, so that a project
which mounts the app needs nothing but django.contrib.admin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.apps import apps
from django.utils.text import capfirst

__all__ = [
    "ASIDE",
    "UNFOLD",
    "ChangeList",
    "InlineFormSet",
    "ModelAdmin",
    "ModelForm",
    "TabularInline",
    "checkboxes",
    "number_input",
    "select",
    "text_input",
    "textarea",
]

UNFOLD = apps.is_installed("unfold")

# How a fieldset that few need is put away: it opens without JavaScript, by the keyboard,
# and by itself where one of its fields has an error.
ASIDE = ("collapse",)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.contrib.admin.views.main import ChangeList
    from django.forms import BaseInlineFormSet as InlineFormSet
    from django.forms import CheckboxSelectMultiple as _Checkboxes
    from django.forms import ModelForm
    from django.forms import NumberInput as _NumberInput
    from django.forms import Select as _Select
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
        from unfold.views import ChangeList
        from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as _Checkboxes
        from unfold.widgets import UnfoldAdminIntegerFieldWidget as _NumberInput
        from unfold.widgets import UnfoldAdminSelectWidget as _Select
        from unfold.widgets import UnfoldAdminTextareaWidget as _Textarea
        from unfold.widgets import UnfoldAdminTextInputWidget as _TextInput
    else:
        from django.contrib import admin as look
        from django.contrib.admin.views.main import ChangeList
        from django.contrib.admin.widgets import AdminIntegerFieldWidget as _NumberInput
        from django.contrib.admin.widgets import AdminTextareaWidget as _Textarea
        from django.contrib.admin.widgets import AdminTextInputWidget as _TextInput
        from django.forms import BaseInlineFormSet as _InlineFormSet
        from django.forms import CheckboxSelectMultiple as _Checkboxes
        from django.forms import Select as _Select

    class ModelAdmin(_Generic, look.ModelAdmin):
        # What lists may be sought by in their address, beside what they are filtered by.
        sought = ("id", "pk")

        def lookup_allowed(self, lookup, value, request):
            """By no other column: who may not read a secret would guess it letter by letter,
            by what `?url__startswith=` finds."""
            first = lookup.partition("__")[0]
            if first in {field.name for field in self.opts.get_fields()} | {"pk"}:
                filters = self.get_list_filter(request)
                paths = (each[0] if isinstance(each, tuple) else each for each in filters)
                known = {path.partition("__")[0] for path in paths if isinstance(path, str)}
                own = {getattr(each, "parameter_name", None) for each in filters}
                if lookup not in own and first not in known.union(self.sought):
                    return False
            return super().lookup_allowed(lookup, value, request)

    class TabularInline(_Generic, look.TabularInline):
        pass

    class InlineFormSet(_Generic, _InlineFormSet):
        """Each field of a row says what it is: its column's title is not its label."""

        def add_fields(self, form, index):
            super().add_fields(form, index)
            for field in form.fields.values():
                field.widget.attrs.setdefault("aria-label", capfirst(field.label or ""))

    class ModelForm(_Generic, forms.ModelForm):
        pass


def textarea(rows: int) -> forms.Textarea:
    """A text area for values of one line each."""
    return _Textarea(attrs={"rows": rows, "spellcheck": "false"})


def checkboxes() -> forms.CheckboxSelectMultiple:
    return _Checkboxes()


_AS_TYPED = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


def text_input(**attrs: str) -> forms.TextInput:
    """A line of words that are not prose."""
    return _TextInput(attrs={**_AS_TYPED, **attrs})


def number_input(**attrs: str) -> forms.NumberInput:
    return _NumberInput(attrs=attrs)


def shown_when(name: str, condition: str) -> str:
    """A condition of Unfold's, in JavaScript of the form's values, by one of their names; where
    that is only there to read, it is no value of the form, and all is shown."""
    return f"typeof {name} == 'undefined' || {condition}"


def select() -> forms.Select:
    return _Select()
