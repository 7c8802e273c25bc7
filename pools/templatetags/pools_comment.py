"""The field for a comment within the forms of the theme.

The admin is imported where it is used: libraries of tags are loaded by unfold while it is
itself being loaded.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

# What both Django's pages and unfold's have within the form that confirms a deletion; neither
# has a block there.
_PLACE = '<input type="hidden" name="post" value="yes">'


@register.inclusion_tag("pools/admin/comment.html", takes_context=True)
def comment_field(context: dict[str, Any]) -> dict[str, Any]:
    """The field, with what was typed."""
    from pools.admin import comment

    return {"field": comment.bound(context.get("request"))}


@register.filter
def with_comment(html: str) -> SafeString:
    """The page that confirms a deletion, with the field in its form."""
    from pools.admin import comment

    field = render_to_string("pools/admin/comment.html", {"field": comment.bound(None)})
    return mark_safe(str(html).replace(_PLACE, _PLACE + field, 1))
