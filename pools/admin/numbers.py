"""Figures as people read them: short, in their language's own form, and never more precise
than they are."""

from __future__ import annotations

import re
from datetime import timedelta

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from pools.notify.words import duration

UNKNOWN = "–"


def rate(value: float) -> str:
    """Of something a second: "0.05", "7.5", "1,234"."""
    if not value:
        return "0"
    return _cut(value, 2 if value < 1 else 1 if value < 100 else 0)


def lasting(lasted: timedelta) -> str:
    """ "3 min 10 s", in the language of who looks: what is sent and kept is English."""
    units = {"d": _("%(n)s d"), "h": _("%(n)s h"), "min": _("%(n)s min"), "s": _("%(n)s s")}
    return re.sub(
        r"(\d+) ([a-z]+)", lambda one: units[one[2]] % {"n": one[1]}, duration(lasted)
    )


def share(value: float | None) -> str:
    """Of 0 to 1: "0.12 %". What is more than none is never shown as none, nor less than all
    as all."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    if 0 < percent < 0.01:
        return f"< {_cut(0.01, 2)} %"
    if 99.9 < percent < 100:
        return f"{_cut(min(percent, 99.99), 2)} %"
    places = 0 if percent in (0, 100) else 2 if percent < 1 else 1
    return f"{_cut(percent, places)} %"


def ms(value: float | None) -> str:
    """ "3.4", "120", "1,500", without its unit."""
    if value is None:
        return UNKNOWN
    return _cut(value, 1 if value < 10 else 0)


def whole(value: int) -> str:
    return _cut(value, 0)


def _cut(value: float, places: int) -> str:
    # Django's own cuts where this rounds.
    cut = round(value, places)
    return str(number_format(cut, decimal_pos=places, use_l10n=True, force_grouping=True))
