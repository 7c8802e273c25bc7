"""`manage.py health`: what a proxy is made of, how its pools and backends are, and how long an
operator waits at most until their probes tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from celery.app.utils import find_app
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connection
from django.utils import timezone
from rich.console import Console
from rich.markup import escape

from pools import conf
from pools.control import broker, components, overview, processes, publish, readings
from pools.control.components import Component
from pools.control.overview import BackendView, Overview, PoolView
from pools.control.processes import Told
from pools.core import probing
from pools.core.document import ProbeKind
from pools.core.errors import DocumentError
from pools.core.probing import Verdict
from pools.management import terminal

MISSING, WRONG = 1, 2

_WAITS = ("first", "down, refusing", "down, silent", "up again", "unknown, unprobed")
_WORD = {True: "ok", False: "missing", None: "unknown"}


class Command(BaseCommand):
    help = "Show what is there and what is missing, and the health of pools and backends."
    requires_system_checks = ("pools",)

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        status = verbs.add_parser(
            "status", help="exit 0: nothing is missing, 1: something is, 2: trouble"
        )
        status.add_argument(
            "pool", metavar="POOL", nargs="?", help="this one alone, with all its backends"
        )
        status.add_argument("--json", action="store_true", help="answer in JSON")
        waits = verbs.add_parser("waits", help="how long until probes tell, by the settings")
        waits.add_argument("pool", metavar="POOL", nargs="?", help="this one alone")
        waits.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        if verb == "waits":
            self.waits(options["pool"], as_json=options["json"])
        else:
            self.status(options)

    def waits(self, pool: str | None, *, as_json: bool) -> None:
        try:
            document = publish.published(publish.revision())
        except (Error, DocumentError) as error:
            reason = " ".join(str(error).split())
            raise CommandError(f"pools cannot be read: {reason}", returncode=WRONG) from None
        probes = {one.name: one.probe for one in document.pools}
        if pool is not None:
            probes = {pool: probes[_known(pool, list(probes))]}
        told = {
            name: asdict(probing.waits(probe))
            for name, probe in probes.items()
            if probe.kind is not ProbeKind.OFF
        }
        if as_json:
            self.stdout.write(json.dumps(told, indent=2))
            return
        rows = [
            (name, *(f"{value:g} s" for value in one.values())) for name, one in told.items()
        ]
        terminal.table(terminal.console(self.stdout), ("pool", *_WAITS), rows)

    def status(self, options: dict[str, Any]) -> None:
        found = _Found.now()
        if options["pool"] and found.overview:
            found.only(options["pool"])
        if options["json"]:
            self.stdout.write(json.dumps(found.plain(), indent=2, ensure_ascii=False))
        else:
            _print(found, terminal.console(self.stdout))
        if not found.ok:
            sys.exit(MISSING)


def _known(name: str, names: Sequence[str]) -> str:
    """The name of a pool that there is."""
    if name in names:
        return name
    near = get_close_matches(name, names)
    mend = f"did you mean {' or '.join(near)}?" if near else "it may not be published"
    raise CommandError(f"there is no pool {name!r}: {mend}", returncode=WRONG)


@dataclass(slots=True)
class _Found:
    """`overview` None: it could not be read, `problem` is why. `whole`: all backends of its
    pools are to be shown."""

    components: list[Component]
    processes: Sequence[Told] = ()
    overview: Overview | None = None
    problem: str = ""
    whole: bool = False

    @classmethod
    def now(cls) -> _Found:
        url, trouble = _ask_broker()
        try:
            told = processes.read()
        except Error as error:
            return cls([_no_database(error), *_without_database(url, trouble)])
        found = cls([Component(name="database", ok=True, says=_database())], told)
        found.components += _components(url, trouble, told)
        try:
            found.overview = overview.read(told)
        except DocumentError as error:
            problems = " ".join(str(error).split())
            found.problem = f"the published revision cannot be read: {problems}"
        except Error as error:  # gone since a moment ago
            found.components[0] = _no_database(error)
        return found

    @property
    def ok(self) -> bool:
        """Whether nothing is missing; what cannot be told is not."""
        return not self.problem and all(part.ok is not False for part in self.components)

    def only(self, name: str) -> None:
        """Leave out all pools but one."""
        assert self.overview
        names = [pool.status.name for pool in self.overview.pools]
        pool = self.overview.pools[names.index(_known(name, names))]
        self.overview = Overview(revision=self.overview.revision, pools=(pool,))
        self.whole = True

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        now = timezone.now()
        told: dict[str, Any] = {
            "ok": self.ok,
            "components": [component.plain() for component in self.components],
        }
        if self.problem:
            told["problem"] = self.problem
        if self.overview:
            told["revision"] = self.overview.revision
            told["pools"] = [pool.plain(now) for pool in self.overview.pools]
            told["processes"] = [one.plain() for one in self.processes]
        return told


# --- components --------------------------------------------------------------------------


def _components(url: str, trouble: str | None, told: Sequence[Told]) -> list[Component]:
    asked = _broker(url, trouble, told)
    beat_and_worker = components.ticking(told, broker_ok=asked.ok)
    return [asked, *beat_and_worker, *components.traffic(told)]


def _without_database(url: str, trouble: str | None) -> list[Component]:
    unknown = "cannot be told without the database; its status page can"
    return [
        _broker(url, trouble, []),
        *components.without_database(conf.current().data_dir),
        Component(name="gateway", ok=None, says=unknown),
    ]


def _broker(url: str, trouble: str | None, told: Sequence[Told]) -> Component:
    if trouble is None and not any(one.report.get("broker") for one in told):
        return Component(name="broker", ok=None, says=url)
    return components.broker(url, trouble or "", told)


def _ask_broker() -> tuple[str, str | None]:
    """The broker and what is wrong with it; None: who knows."""
    project = (settings.WSGI_APPLICATION or settings.ROOT_URLCONF).partition(".")[0]
    try:
        app = find_app(project)
    except (ImportError, AttributeError):
        return f"no Celery app was found in {project}.celery", None
    return broker.ask(app)


def _database() -> str:
    known = connection.settings_dict
    where = known["HOST"] and f"{known['HOST']}:{known['PORT'] or 'default port'}, "
    return f"{connection.vendor}, {where}{known['NAME']}"


def _no_database(error: Error) -> Component:
    reason = " ".join(str(error).split())
    if "no such table" in reason or "does not exist" in reason:
        return Component(
            name="database", ok=False, says=reason, mend="run manage.py migrate (DATABASE_URL)"
        )
    return Component(
        name="database",
        ok=False,
        says=f"{_database()}: {reason}",
        mend="bring it back (DATABASE_URL); traffic goes on with what each process has",
    )


# --- for people --------------------------------------------------------------------------


def _print(found: _Found, console: Console) -> None:
    rows = [
        (part.name, _WORD[part.ok], _says(part), part.mend if part.ok is False else "")
        for part in found.components
    ]
    terminal.table(console, ("component", "is", "what is known", "what to do"), rows)
    if found.problem:
        console.print(escape(found.problem))
    if found.overview is None:
        return
    pools = found.overview.pools
    terminal.table(
        console,
        ("pool", *(verdict.value for verdict in Verdict), "leaving", "trouble"),
        [_pool_row(pool) for pool in pools],
    )
    backends = [backend for pool in pools for backend in pool.backends]
    shown = [backend for backend in backends if found.whole or not backend.as_usual]
    now = timezone.now()
    terminal.table(
        console,
        ("backend", "state", "health", "since", "why", "in processes"),
        [_backend_row(backend, now) for backend in shown],
    )
    if len(shown) < len(backends):
        one_of = "" if shown else "all of "
        console.print(f"{one_of}{len(backends) - len(shown)} backends are as usual.")


def _says(part: Component) -> str:
    return f"{part.says}, since {readings.moment(part.since)}" if part.since else part.says


def _pool_row(pool: PoolView) -> tuple[str, ...]:
    counts = (str(pool.status.count(verdict)) for verdict in Verdict)
    trouble = pool.trouble
    if pool.panic_in:
        trouble += f" in {', '.join(pool.panic_in)}"
    return pool.status.name, *counts, str(pool.status.leaving), trouble


def _backend_row(backend: BackendView, now: datetime) -> tuple[str, ...]:
    reading = backend.reading
    return (
        backend.key,
        backend.state.value,
        reading.verdict.value,
        readings.moment(reading.since) if reading.since else "",
        reading.reason,
        "; ".join(_in_processes(backend, now)),
    )


def _in_processes(backend: BackendView, now: datetime) -> Iterator[str]:
    if leaving := backend.leaving():
        yield leaving
    for by in backend.ejected:
        yield f"ejected by {by.process} for {by.left_s(now):.0f} s: {by.why}"
