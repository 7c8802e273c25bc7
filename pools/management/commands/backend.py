"""`manage.py backend`: one backend's admin state, waiting until it may be stopped, and a probe
of it now."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, close_old_connections

from pools.control import processes, publish, reports
from pools.control.leaving import Progress, Waiting
from pools.control.processes import TRAFFIC
from pools.core.document import AdminState
from pools.core.errors import DocumentError
from pools.management import probing, terminal
from pools.management.terminal import who
from pools.models import Backend

TIMED_OUT, WRONG, INTERRUPTED = 1, 2, 130
LOOK_S = 0.5

_VERBS = {
    "ready": (AdminState.READY, "takes requests"),
    "drain": (AdminState.DRAIN, "gets no new requests"),
    "maint": (AdminState.MAINT, "gets no requests and no probes"),
}


class Command(BaseCommand):
    help = "Probe a backend, drain it, put it in maintenance, or make it ready again."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for name, (_, effect) in _VERBS.items():
            verb = verbs.add_parser(
                name, help=f"it {effect}; exit 0: done, 1: not in time, 2: trouble"
            )
            _add_state_arguments(verb)
        probe = verbs.add_parser(
            "probe",
            help="probe it now and show each step; writes nothing; exit 0: healthy, 1: not, "
            "2: trouble",
        )
        probe.add_argument(
            "target", metavar="POOL[/NAME]", help="such as web/10.0.0.1:8000; a pool: all of it"
        )
        probe.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        if verb in _VERBS:
            if options["timeout"] and not options["wait"]:
                raise CommandError("--timeout is of --wait: give both", returncode=WRONG)
            self.move(verb, **_known(options, "backend", "wait", "timeout", "json"))
        else:
            self.probe(options["target"], as_json=options["json"])

    def probe(self, target: str, *, as_json: bool) -> None:
        probed = probing.probe(target)
        if as_json:
            self.print_json({"backends": [each.plain() for each in probed]})
        else:
            probing.show(probed, terminal.console(self.stdout))
        if not all(each.result.ok for each in probed):
            sys.exit(probing.UNHEALTHY)

    # --- drain, ready, maint -----------------------------------------------------------------

    def move(self, verb: str, *, backend: str, wait: bool, timeout: float, json: bool) -> None:
        state, effect = _VERBS[verb]
        with _trouble():
            row, number, changed = _move(backend, state, verb)
            alone = not row.pool.backends.filter(state=AdminState.READY).exists()
        told: dict[str, Any] = {
            "backend": row.key,
            "state": state.value,
            "revision": number,
            "changed": changed,
        }
        if not json:
            before = "" if changed else ", as before"
            self.stdout.write(f"{row.key} {effect} (revision {number}{before}).")
            if alone:
                self.stdout.write(f"No backend of pool {row.pool.name} is ready now.")
        left = None
        if wait:
            waiting = _Waited(self, row, number, state, quiet=json)
            left = waiting.run(time.monotonic() + timeout if timeout else None)
            told |= {"done": waiting.done, **(left.plain() if left else {})}
        if json:
            self.print_json(told)
        if wait and not told["done"]:
            sys.exit(TIMED_OUT)

    def print_json(self, data: object) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))


class _Waited:
    """Waits for a change to be in force, and for what is in flight to end; says how it goes."""

    def __init__(
        self, command: Command, row: Backend, revision: int, state: AdminState, *, quiet: bool
    ) -> None:
        self._command = command
        self._key = row.key
        self._state = state
        self._quiet = quiet
        self._waiting = Waiting(row.key, revision)
        self._said = ""
        self._gone: tuple[str, ...] = ()
        self.done = False
        pool = row.pool
        self._stay = reports.may_come(
            state, sticky=pool.sticky_mode, while_draining=pool.sticky_while_draining
        )

    def run(self, until: float | None) -> Progress | None:
        """To the end, or until then on time.monotonic; what was left at last."""
        progress: Progress | None = None
        try:
            while True:
                progress = self._look() or progress
                self.done = self._waiting.over
                if self.done or (until is not None and time.monotonic() >= until):
                    break
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            self._fail(f"interrupted: {self._key} stays in state {self._state}", INTERRUPTED)
        if progress and self.done:
            self._say(self._end(progress))
        elif not self._quiet:
            left = progress.words() if progress else "the database is away"
            self._command.stderr.write(f"not in time: {left or 'it was clear only just now'}")
        return progress

    def _look(self) -> Progress | None:
        try:
            progress = self._waiting.look(processes.read(*TRAFFIC))
        except Error as error:
            close_old_connections()
            self._say(f"waiting for the database: {' '.join(str(error).split())}")
            return None
        for name in progress.gone:
            if name not in self._gone:
                self._say(
                    f"{name} stopped to tell of itself and counts as gone; if it still runs, "
                    "nothing is known of what it has in flight"
                )
        self._gone = progress.gone
        if words := progress.words():
            self._say(f"waiting: {words}")
        return progress

    def _end(self, progress: Progress) -> str:
        if not progress.living:
            return (
                "No gateway or web process tells of itself: nothing is known to be in flight."
            )
        where = f"in {progress.living} process{'' if progress.living == 1 else 'es'}"
        if self._state is AdminState.READY:
            return f"{self._key}: in force {where}."
        if self._stay:
            return (
                f"{self._key}: nothing is in flight {where}, but clients that hold its cookie "
                "may come; put it in maint to keep them out."
            )
        return f"{self._key} is safe to stop: nothing is in flight {where}."

    def _say(self, text: str) -> None:
        if text != self._said and not self._quiet:
            self._command.stdout.write(text)
            self._command.stdout.flush()
        self._said = text

    def _fail(self, text: str, code: int) -> NoReturn:
        raise CommandError(text, returncode=code)


def _add_state_arguments(verb: Any) -> None:
    verb.add_argument("backend", metavar="POOL/NAME", help="such as web/10.0.0.1:8000")
    verb.add_argument(
        "--wait",
        action="store_true",
        help="return when every process has it in force and, but for ready, nothing is in "
        "flight with it",
    )
    verb.add_argument(
        "--timeout",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="wait no longer; then exit 1",
    )
    verb.add_argument("--json", action="store_true", help="answer in JSON, at the end")


def _move(key: str, state: AdminState, verb: str) -> tuple[Backend, int, bool]:
    """The backend, the revision in force, and whether that is a new one."""
    with publish.change(who=who(f"backend {verb}"), why=f"{verb.title()} {key}") as outcome:
        row = find(key)
        if row.state != state:
            row.state = state.value
            row.save(update_fields=["state"])
    if outcome.revision is not None:
        return row, outcome.revision.number, True
    return row, publish.revision(), False


def find(key: str) -> Backend:
    """The backend of this key; CommandError with what is near where there is none."""
    pool, _, address = key.partition("/")
    rows = Backend.objects.select_related("pool").order_by("pool__name", "host", "port")
    for row in rows.filter(pool__name=pool):
        if row.address == address:
            return row
    near = get_close_matches(key, [row.key for row in rows])
    mend = f"did you mean {' or '.join(near)}?" if near else "manage.py health status has all"
    raise CommandError(f"there is no backend {key!r}: {mend}", returncode=WRONG)


@contextmanager
def _trouble() -> Iterator[None]:
    """What is wrong with the configuration, or with the database, is a line."""
    try:
        yield
    except DocumentError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        raise CommandError(f"nothing was changed: {problems}", returncode=WRONG) from None
    except Error as error:
        reason = " ".join(str(error).split())
        raise CommandError(
            f"nothing was changed: the database: {reason} (is it there, is `migrate` done?)",
            returncode=WRONG,
        ) from None


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


_seconds.__name__ = "number of seconds"  # what argparse calls it


def _known(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}
