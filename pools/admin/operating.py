"""What operators may do who may not edit: states, weights and probes of backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import flatten_fieldsets
from django.http import HttpRequest

from pools.control.roles import OPERATE
from pools.models import Backend

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Backend]
else:
    _Base = object

OPERATED = ("state", "weight")


def may_operate(request: HttpRequest) -> bool:
    """Whether this user may set states and weights, and probe now; who edits may too."""
    user = request.user
    return user.has_perm(OPERATE) or user.has_perm("pools.change_backend")


class Operated(_Base):
    """For the admin of backends: operators change two fields and find the others to read."""

    def has_operate_permission(self, request: HttpRequest, obj: Backend | None = None) -> bool:
        """For actions, too: `@admin.action(permissions=["operate"])`."""
        return may_operate(request)

    def has_view_permission(self, request: HttpRequest, obj: Backend | None = None) -> bool:
        return super().has_view_permission(request, obj) or may_operate(request)

    def has_change_permission(self, request: HttpRequest, obj: Backend | None = None) -> bool:
        return may_operate(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Backend | None = None) -> Any:
        found = super().get_readonly_fields(request, obj)
        # Without an object it is the form to add one, which has a right of its own.
        if obj is None or request.user.has_perm("pools.change_backend"):
            return found
        every = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [*found, *(name for name in every if name not in (*found, *OPERATED))]
