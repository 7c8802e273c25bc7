"""Users and groups in the console's look; importing this registers them."""

from __future__ import annotations

from typing import Any, cast

from axes.utils import reset
from django.contrib import admin, messages
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]
from unfold.forms import (  # type: ignore[import-untyped]
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

from pools.control import audit
from proxysite import codes

# Of devices the console tells whether there are any: their pages would show the keys.
admin.site.unregister([User, Group, TOTPDevice, StaticDevice])


@admin.register(User)
class UserAdmin(auth.UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Nobody but a superuser makes one, or changes one."""

    compressed_fields = False  # two lists of permissions side by side need the width
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "roles", "is_active", "is_staff", "has_codes")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    actions = ("let_in", "turn_codes_off")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        on = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.annotate(codes_on=Exists(on)).prefetch_related("groups")

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        user = form.instance
        if user.groups.exists() and not user.is_staff:
            said = _("%(user)s cannot sign in here: switch staff status on.")
            self.message_user(request, said % {"user": user}, messages.WARNING)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        found = (*super().get_readonly_fields(request, obj), "last_login", "date_joined")
        if request.user.is_superuser:
            return found
        # Permissions come by groups: who is no superuser gives none past them.
        return (*found, "is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return bool(allowed and _may_touch(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return bool(allowed and _may_touch(request, obj))

    @admin.action(
        description=gettext_lazy("Let in again after wrong passwords"), permissions=["change"]
    )
    def let_in(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        count = 0
        for user in queryset:
            if reset(username=user.get_username()):
                audit.record("let in again", kind="user", name=user.get_username())
                count += 1
        if count:
            said = ngettext(
                "%(count)d user may try again.", "%(count)d users may try again.", count
            )
            self.message_user(request, said % {"count": count}, messages.SUCCESS)
        else:
            self.message_user(request, _("Nothing to do: nobody of them was held back."))

    @admin.action(description=gettext_lazy("Turn one-time codes off"), permissions=["change"])
    def turn_codes_off(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        users = [user for user in _touchable(request, queryset) if codes.turned_on(user)]
        for user in users:
            codes.turn_off(user)
        if users:
            said = ngettext(
                "One-time codes are off for %(count)d user.",
                "One-time codes are off for %(count)d users.",
                len(users),
            )
            self.message_user(request, said % {"count": len(users)}, messages.SUCCESS)
        else:
            self.message_user(
                request, _("Nothing to do: none that you may change has them on.")
            )

    @admin.display(description=gettext_lazy("groups"))
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "–"

    @admin.display(description=gettext_lazy("one-time codes"), ordering="codes_on")
    def has_codes(self, user: User) -> str:
        return _("on") if cast(Any, user).codes_on else _("off")


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    return request.user.is_superuser or user is None or not user.is_superuser


def _touchable(request: HttpRequest, users: QuerySet[User]) -> QuerySet[User]:
    return users if request.user.is_superuser else users.exclude(is_superuser=True)


@admin.register(Group)
class GroupAdmin(auth.GroupAdmin, ModelAdmin):  # type: ignore[misc]
    pass
