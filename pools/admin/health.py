"""Health as the console shows it: a colour, a word and the reason, never more than is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from pools.control import clock
from pools.control.readings import WITH, Reading, moment, read
from pools.control.sought import Tally
from pools.core.probing import Verdict
from pools.models import Backend, HealthEvent

__all__ = ["WITH", "Reading", "moment", "read"]


def badge(verdict: Verdict) -> SafeString:
    return format_html(
        '<span class="pools-badge pools-{}">{}</span>', verdict, _(verdict.value)
    )


def state_badge(backend: Backend) -> SafeString:
    return format_html(
        '<span class="pools-badge pools-{}">{}</span>', backend.state, _(backend.state)
    )


def shown(backend: Backend) -> SafeString:
    """The badge with the reason behind it."""
    reading = read(backend)
    return format_html(
        '{} <span class="pools-reason">{}</span>', badge(reading.verdict), reading.reason
    )


def linked(backend: Backend) -> SafeString:
    """As `shown`, leading to the backend's page, where its events are."""
    page = reverse("admin:pools_backend_change", args=(backend.pk,))
    return format_html('<a href="{}">{}</a>', page, shown(backend))


def since(backend: Backend) -> str:
    """How long the verdict has been what it is: "5 minutes"; "" where that is not known."""
    reading = read(backend)
    if reading.since is None:
        return ""
    if clock.now() - reading.since < timedelta(minutes=1):
        return _("under a minute")
    return timesince(reading.since, depth=1)


def events(found: Iterable[HealthEvent], *, named: bool = False) -> SafeString | str:
    """Flips of health, each with its backend's address where `named`."""
    rows = format_html_join(
        "",
        "<tr><td>{}</td>{}<td>{} → {}</td><td>{}</td></tr>",
        (
            (
                moment(event.at),
                format_html("<td>{}</td>", event.backend.address) if named else "",
                badge(Verdict(event.old)),
                badge(Verdict(event.new)),
                event.reason,
            )
            for event in found
        ),
    )
    if not rows:
        return _("none yet")
    return format_html(
        '<div class="pools-scroll" tabindex="0" role="region" aria-label="{}">'
        '<table class="pools-table">{}</table></div>',
        _("Recent events"),
        rows,
    )


def tally(backends: Iterable[Backend]) -> SafeString:
    """Backends up of all: "3 of 4 up", with a colour, and how many are not known."""
    found = [read(backend).verdict for backend in backends]
    up, unknown = found.count(Verdict.UP), found.count(Verdict.UNKNOWN)
    return tallied(Tally(total=len(found), up=up, unknown=unknown))


class Counted(Protocol):
    """Backends of which some are up, and of some nothing is known."""

    @property
    def total(self) -> int: ...
    @property
    def up(self) -> int: ...
    @property
    def unknown(self) -> int: ...


def tallied(tally: Counted) -> SafeString:
    """As `tally`, of what was counted already."""
    up, total, unknown = tally.up, tally.total, tally.unknown
    if not total:
        return format_html('<span class="pools-badge pools-down">{}</span>', _("no backends"))
    if up == total:
        colour = "up"
    elif unknown == total:
        colour = "unknown"
    else:
        colour = "partly" if up or unknown else "down"
    text = _("%(up)d of %(total)d up") % {"up": up, "total": total}
    if unknown:
        rest = _("%(count)d unknown") % {"count": unknown}
        text = f"{text}, {rest}"
    return format_html('<span class="pools-badge pools-{}">{}</span>', colour, text)
