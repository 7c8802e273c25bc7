"""What is wrong with the proxy as a whole, or unwise, each with what to do about it.

Rules:
- One cause is one warning: pools that nobody probes are not listed where beat or the workers
  are missing, and pools of one kind of trouble share a line.
- It goes by what is known already (rows, reports of processes); nothing is asked over the
  network while somebody waits for the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from django.conf import settings
from django.core.checks.security.base import check_secret_key
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools import conf
from pools.admin.health import moment
from pools.admin.sentences import listed
from pools.control import components, reports, wake
from pools.control.census import Census, Need, Tally
from pools.control.components import Component
from pools.control.processes import TRAFFIC, Told
from pools.models.process import ProcessKind
from pools.notify import conditions

# A process that has this revision not yet in force, so long after it came, is behind.
BEHIND = timedelta(seconds=5)
# Workers that began so lately are still at the probes that fell due while there were none.
CATCHES_UP = timedelta(seconds=30)
_MOST = 5  # certificates, each in a line of its own

PROXY = "pools.wsgi.middleware.ReverseProxyMiddleware"


class Level(IntEnum):
    """The gravest first. Advice is of what is unwise and harms nobody yet."""

    URGENT = 0
    WARNING = 1
    ADVICE = 2

    @property
    def word(self) -> str:
        match self:
            case Level.URGENT:
                return _("urgent")
            case Level.WARNING:
                return _("warning")
        return _("advice")

    @property
    def colour(self) -> str:
        return ("down", "partly", "unknown")[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """`what` is wrong, and the `mend`; `where` a page of the console that has more, if any."""

    level: Level
    what: str
    mend: str
    since: datetime | None = None
    where: str = ""

    @property
    def since_when(self) -> str:
        return moment(self.since) if self.since else ""


def gather(
    census: Census,
    processes: Sequence[Told],
    revision: tuple[int, datetime | None],
    now: datetime,
) -> list[Warned]:
    """`revision` is the number that is in force, and since when."""
    probing = _probing(processes)
    late = not probing and not _catching_up(processes, now)
    found = [*probing, *_traffic(processes), *_pools(census, unprobed=late)]
    found += [*_behind(processes, *revision, now), *_certificates(census, now)]
    return sorted(found, key=lambda warned: warned.level)


def unwise() -> Iterator[Warned]:
    """What is unwise in the settings, for those who may change them."""
    if settings.DEBUG:
        yield Warned(
            level=Level.WARNING,
            what=_("DEBUG is on: whoever meets an error reads settings and code."),
            mend=_("Start without DEBUG."),
        )
    if check_secret_key(None):
        yield Warned(
            level=Level.WARNING,
            what=_("SECRET_KEY is easy to guess: who guesses it signs in as anybody."),
            mend=_(
                "Set 50 random characters or more, or none, and one is made in DATA_DIR. "
                "Everybody then signs in anew."
            ),
        )
    if not conf.current().admin_host and PROXY in settings.MIDDLEWARE:
        yield Warned(
            level=Level.ADVICE,
            what=_(
                "The console has no host of its own: pages of backends that share its address "
                "can act for whoever is signed in here."
            ),
            mend=_("Give it one (ADMIN_HOST) before you let strangers in."),
        )


# --- parts that are missing ------------------------------------------------------------------


def _probing(processes: Sequence[Told]) -> list[Warned]:
    """Broker, beat and worker. Without any of them nobody probes."""
    asked = components.broker(_("the broker"), "", processes)
    parts = [asked, *components.ticking(processes, broker_ok=asked.ok)]
    found = [_missing(part, _("Nobody probes")) for part in parts if part.ok is False]
    if asked.ok and wake.away():
        found.append(
            Warned(
                level=Level.WARNING,
                what=_("Redis is away: changes take up to %(seconds)g s, as processes poll.")
                % {"seconds": conf.current().poll_interval_s},
                mend=_("Bring it back (REDIS_URL): processes connect again by themselves."),
            )
        )
    return found


def _traffic(processes: Sequence[Told]) -> list[Warned]:
    parts = components.traffic(processes)
    return [_missing(part, _("Nobody carries traffic")) for part in parts if part.ok is False]


def _missing(part: Component, effect: str) -> Warned:
    return Warned(
        level=Level.URGENT,
        what=f"{effect}: {part.says}.",
        mend=_sentence(part.mend),
        since=part.since,
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


# --- pools -----------------------------------------------------------------------------------


def _catching_up(processes: Sequence[Told], now: datetime) -> bool:
    workers = [told for told in processes if told.kind is ProcessKind.WORKER and told.living]
    return bool(workers) and all(now - told.started_at < CATCHES_UP for told in workers)


def _pools(census: Census, *, unprobed: bool) -> Iterator[Warned]:
    if empty := census.needing(Need.EMPTY):
        yield Warned(
            level=Level.URGENT,
            what=ngettext(
                "Requests for pool %(names)s are refused: it has no backend left.",
                "Requests for %(count)d pools are refused, as they have no backend left: "
                "%(names)s.",
                len(empty),
            )
            % _named(empty),
            mend=_("Add backends, make some ready, or see why they are down."),
            where=_backends(empty),
        )
    if panicking := census.needing(Need.PANIC):
        yield Warned(
            level=Level.URGENT,
            what=ngettext(
                "Pool %(names)s is in panic: so few of its backends are left that their health "
                "is ignored.",
                "%(count)d pools are in panic, as so few of their backends are left that "
                "health is ignored: %(names)s.",
                len(panicking),
            )
            % _named(panicking),
            mend=_("Bring backends back, or lower the pool's panic threshold."),
            where=_backends(panicking),
        )
    waiting = [pool for pool in census.pools if pool.needs_probes] if unprobed else []
    if waiting:
        yield Warned(
            level=Level.WARNING,
            what=ngettext(
                "Pool %(names)s has not been probed for three intervals: its backends count "
                "as usable, whatever they are.",
                "%(count)d pools have not been probed for three intervals, and their backends "
                "count as usable, whatever they are: %(names)s.",
                len(waiting),
            )
            % _named(waiting),
            mend=_("Start another worker: those there are cannot keep up."),
            where=_backends(waiting),
        )


def _named(pools: Sequence[Tally]) -> dict[str, object]:
    return {"names": listed(pool.name for pool in pools), "count": len(pools)}


def _backends(pools: Sequence[Tally]) -> str:
    page = reverse("admin:pools_backend_changelist")
    return f"{page}?pool__id__exact={pools[0].pk}" if len(pools) == 1 else page


# --- processes and certificates --------------------------------------------------------------


def behind(processes: Sequence[Told], number: int) -> list[Told]:
    """The living processes that carry traffic by an earlier revision."""
    return [
        told
        for told in processes
        if told.kind in TRAFFIC and told.living and reports.revision(told) < number
    ]


def _behind(
    processes: Sequence[Told], number: int, since: datetime | None, now: datetime
) -> Iterator[Warned]:
    found = behind(processes, number)
    if found and since and now - since > BEHIND:
        yield Warned(
            level=Level.URGENT,
            what=ngettext(
                "A process does not follow revision %(number)d: %(names)s.",
                "%(count)d processes do not follow revision %(number)d: %(names)s.",
                len(found),
            )
            % {"count": len(found), "number": number, "names": listed(map(str, found))},
            mend=_("Its log says why; restart it where it is of an older version."),
            since=since,
        )


def _certificates(census: Census, now: datetime) -> Iterator[Warned]:
    pools = {
        pool.pk: (pool.name, pool.certificate_days) for pool in census.pools if pool.probed
    }
    found = sorted(conditions.ending(pools, now), key=lambda one: one[2])
    for subject, _pool, until in found[:_MOST]:
        past = until < now
        what = (
            _("The certificate of %(name)s has ended, on %(end)s.")
            if past
            else _("The certificate of %(name)s ends on %(end)s.")
        )
        yield Warned(
            level=Level.URGENT if past else Level.WARNING,
            what=what % {"name": subject, "end": moment(until)},
            mend=_("Renew it."),
        )
    if (rest := len(found) - _MOST) > 0:
        yield Warned(
            level=Level.WARNING,
            what=ngettext(
                "%(count)d more certificate ends soon.",
                "%(count)d more certificates end soon.",
                rest,
            )
            % {"count": rest},
            mend=_("See the alerts."),
            where=reverse("admin:pools_alert_changelist"),
        )
