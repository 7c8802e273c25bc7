"""What processes that carry traffic tell of backends and pools, as the console shows it."""

from __future__ import annotations

from functools import cached_property

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from pools.control import processes, publish, reports
from pools.control.processes import TRAFFIC, Told
from pools.core.document import AdminState
from pools.models import Backend, Pool


class Seen:
    """What all processes told, read when it is first asked for; for one request."""

    def of(self, backend: Backend) -> SafeString:
        """Who ejects it, and what keeps it from being stopped; empty where all is as usual."""
        lines = []
        if backend.state != AdminState.READY:
            pool = backend.pool
            lines.append(
                reports.leaving(
                    self._in_flight.get(backend.key, ()),
                    follow=self._follow,
                    may_come=reports.may_come(
                        backend.state,
                        sticky=pool.sticky_mode,
                        while_draining=pool.sticky_while_draining,
                    ),
                )
            )
        now = timezone.now()
        for by in self._ejected.get(backend.key, ()):
            if by.until > now:
                lines.append(
                    _("ejected by %(process)s for %(seconds)d s: %(why)s")
                    % {"process": by.process, "seconds": round(by.left_s(now)), "why": by.why}
                )
        return format_html_join(
            "", '<div class="pools-reason">{}</div>', ((line,) for line in lines)
        )

    def panic(self, pool: Pool) -> SafeString:
        """Empty where it is in none."""
        found = reports.panics(self._told).get(pool.name)
        if not found:
            return SafeString("")
        badge = format_html('<span class="pools-badge pools-down">{}</span>', _("panic"))
        why = _("so many backends are out that health is ignored, in %(processes)s") % {
            "processes": ", ".join(found)
        }
        return format_html('{} <span class="pools-reason">{}</span>', badge, why)

    @cached_property
    def _told(self) -> list[Told]:
        return processes.living(*TRAFFIC)

    @cached_property
    def _ejected(self) -> dict[str, list[reports.Ejected]]:
        return reports.ejections(self._told)

    @cached_property
    def _in_flight(self) -> dict[str, list[reports.InFlight]]:
        return reports.in_flight(self._told)

    @cached_property
    def _follow(self) -> bool:
        number = publish.revision()
        return all(reports.revision(told) >= number for told in self._told)
