"""Users and groups in the console's look; importing this registers them."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]
from unfold.forms import (  # type: ignore[import-untyped]
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(auth.UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    compressed_fields = False  # two lists of permissions side by side need the width
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(auth.GroupAdmin, ModelAdmin):  # type: ignore[misc]
    pass
