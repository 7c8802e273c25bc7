"""The fields of a pool's probe: which belong to which kind.

Unfold shows those of the kind that is chosen, and any that is not at its default, so that
nothing that was typed and nothing that is wrong is out of sight. Django's own admin shows
all, by kind.
"""

from __future__ import annotations

import json
from typing import Any, cast

from django.db.models import Field
from django.utils.translation import gettext_lazy as _

from pools.admin import base
from pools.models import Pool

_KIND = (("probe_kind", "probe_port"),)
_HTTP = (
    ("probe_method", "probe_path"),
    ("probe_host", "probe_statuses"),
    "probe_headers",
    "probe_text",
    ("probe_json_path", "probe_json_value"),
    "probe_follow_redirects",
)
_TCP = (("probe_send", "probe_expect"),)
_TIMES = (
    ("probe_interval_s", "probe_timeout_s"),
    ("probe_fast_interval_s", "probe_down_interval_s"),
    ("probe_rise", "probe_fall"),
    ("probe_body_bytes", "probe_certificate_days"),
)


def _fieldsets() -> tuple[tuple[Any, Any], ...]:
    if base.UNFOLD:
        return (
            (_("Probe"), {"classes": base.ASIDE, "fields": (*_KIND, *_HTTP, *_TCP, *_TIMES)}),
        )
    return (
        (_("Probe"), {"classes": base.ASIDE, "fields": (*_KIND, *_TIMES)}),
        (_("Probe by HTTP"), {"classes": base.ASIDE, "fields": _HTTP}),
        (_("Probe by TCP"), {"classes": base.ASIDE, "fields": _TCP}),
    )


def _conditions() -> dict[str, str]:
    """When each field is shown, in JavaScript of the form's values."""
    found = {}
    for kinds, rows in ((("http",), _HTTP), (("tcp",), _TCP)):
        for row in rows:
            for name in (row,) if isinstance(row, str) else row:
                found[name] = _when(name, *kinds)
    found["probe_body_bytes"] = _when("probe_body_bytes", "http", "tcp")
    found["probe_certificate_days"] = _when("probe_certificate_days", "http", "tls")
    return found


def _when(name: str, *kinds: str) -> str:
    column = cast("Field[Any, Any]", Pool._meta.get_field(name))
    default = column.get_default() or ""
    chosen = " || ".join(f"probe_kind == '{kind}'" for kind in kinds)
    return f"{chosen} || {name} != {json.dumps(default)}"


FIELDSETS = _fieldsets()
CONDITIONS = _conditions()
