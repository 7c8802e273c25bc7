"""First steps, and lists that have no row yet.

Django imports this module to know its tags: early, and in projects without an admin too. So
what it stands on is imported when a tag is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.template import Context

if TYPE_CHECKING:
    from pools.admin.first_steps import Step

register = template.Library()


@register.simple_tag(takes_context=True)
def get_first_steps(context: Context) -> tuple[Step, ...]:
    """The steps that lead to the first request; none where they are done."""
    from pools.admin import first_steps

    request = context.get("request")
    site = f"{request.scheme}://{request.get_host()}" if request else ""
    return first_steps.first_steps(site)


@register.simple_tag(takes_context=True)
def empty_list(context: Context, changelist: Any) -> dict[str, Any] | None:
    """What to show in place of a list without rows."""
    from pools.admin import empty

    return empty.of(changelist, context["request"].user)
