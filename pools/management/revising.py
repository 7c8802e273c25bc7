"""What `manage.py config` does with revisions and the draft, and how it speaks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from django.core.management.base import BaseCommand
from django.db import Error

from pools.control import compile, drafts, publish, reports, restore
from pools.control.diff import Change, diff
from pools.control.publish import Outcome
from pools.control.restore import RestoreError
from pools.core.document import Document
from pools.core.errors import DocumentError, Problem
from pools.management import terminal
from pools.management.terminal import who
from pools.models import Draft, Revision

WRONG = 2
LISTED = 20


class Revising(BaseCommand):
    json = False

    def add_revising(self, verbs: Any) -> list[Any]:
        """The verbs of this module."""
        listing = verbs.add_parser("revisions", help="the newest revisions: who, when and why")
        listing.add_argument(
            "-n", type=int, default=LISTED, metavar="N", help=f"so many; {LISTED} if not given"
        )
        restored = verbs.add_parser("restore", help="put an earlier revision into force again")
        restored.add_argument("number", type=int, metavar="N", help="the revision's number")
        restored.add_argument(
            "--dry-run", action="store_true", help="only say what it would do"
        )
        draft = verbs.add_parser(
            "draft", help="what waits in staged mode: show it, publish it or throw it away"
        )
        draft.add_argument("act", choices=("show", "publish", "discard"))
        draft.add_argument(
            "objects",
            nargs="*",
            metavar="OBJECT",
            help="for discard: these alone, as show names them, such as pools[web]",
        )
        for verb in (restored, draft):
            verb.add_argument(
                "--comment", default="", metavar="TEXT", help="kept with the revision"
            )
        return [listing, restored, draft]

    def revisions(self, *, most: int) -> None:
        with self.database():
            live = publish.revision()
            found = list(Revision.objects.defer("document")[: max(0, most)])
        if self.json:
            self.print_json({"live": live, "revisions": [_told(row) for row in found]})
            return
        terminal.table(
            terminal.console(self.stdout),
            ("revision", "at", "who", "why", "comment", "changes"),
            [
                (
                    str(row.number),
                    reports.text(row.created_at),
                    row.who,
                    row.why,
                    row.comment,
                    "" if row.changes is None else str(row.changes),
                )
                for row in found
            ],
        )
        if not found:
            self.stdout.write("There are no revisions yet.")

    def restore(self, number: int, *, dry_run: bool, comment: str) -> None:
        outcome: Outcome | None = None
        with self.database():
            try:
                changes = restore.changes(number)
                if not dry_run:
                    outcome = restore.restore(
                        number, who=who("config restore"), comment=comment
                    )
            except RestoreError as error:
                self.fail("restore", str(error))
        self.print_done(changes, outcome)

    def draft(self, act: str, objects: Sequence[str], *, comment: str) -> None:
        if objects and act != "discard":
            self.fail("draft", f"{act} takes no objects: it is about all of the draft")
        with self.database():
            waiting = list(drafts.waiting())
            match act:
                case "show":
                    self._show(waiting)
                case "publish":
                    self._publish(waiting, comment)
                case "discard":
                    self._discard(waiting, objects)

    def _show(self, waiting: Sequence[Draft]) -> None:
        changes: tuple[Change, ...] = ()
        if waiting:
            changes = diff(compile.document(), drafts.document())
        if self.json:
            told = [
                {
                    "object": drafts.path(each),
                    "kind": each.kind.value,
                    "who": each.who,
                    "at": reports.text(each.at),
                    "comment": each.comment,
                }
                for each in waiting
            ]
            plain = {
                "staged": drafts.staged(),
                "draft": told,
                "changes": plain_changes(changes),
            }
            self.print_json(plain)
            return
        for each in waiting:
            said = f": {each.comment}" if each.comment else ""
            about = f"{each.kind} {drafts.path(each)}, {each.who}, {reports.text(each.at)}"
            self.stdout.write(f"{about}{said}")
        self.print_changes(changes)
        if not waiting:
            mode = "on" if drafts.staged() else "off"
            self.stdout.write(f"No draft waits. Staged mode is {mode}.")

    def _publish(self, waiting: Sequence[Draft], comment: str) -> None:
        changes: tuple[Change, ...] = ()
        outcome = Outcome()
        if waiting:
            changes = diff(compile.document(), drafts.document())
            outcome = drafts.publish_draft(
                waiting, who=who("config draft publish"), comment=comment
            )
        self.print_done(changes, outcome)

    def _discard(self, waiting: Sequence[Draft], objects: Sequence[str]) -> None:
        by_path = {drafts.path(each): each for each in waiting}
        for name in objects:
            if name not in by_path:
                known = ", ".join(by_path) or "nothing"
                self.fail("draft", f"{name} is not in the draft, which has {known}")
        chosen = [by_path[name] for name in objects] if objects else list(waiting)
        drafts.discard(chosen)
        if self.json:
            self.print_json({"discarded": [drafts.path(each) for each in chosen]})
        else:
            for each in chosen:
                self.stdout.write(f"Thrown away: {drafts.path(each)}.")
            if not chosen:
                self.stdout.write("No draft waits.")

    # --- saying ------------------------------------------------------------------------------

    def print_done(self, changes: Sequence[Change], outcome: Outcome | None) -> None:
        """What was changed, and the revision that came of it; `outcome` None: a dry run. A
        draft that waits is told of."""
        number = outcome.revision.number if outcome and outcome.revision else None
        waiting = drafts.count()
        if self.json:
            plain = {"changes": plain_changes(changes), "revision": number}
            self.print_json({**plain, "draft": waiting} if waiting else plain)
            return
        self.print_changes(changes)
        if number is not None:
            self.stdout.write(f"Published as revision {number}.")
        elif changes:
            self.stdout.write("Nothing was changed: this was a dry run.")
        else:
            self.stdout.write("Nothing to change.")
        if waiting:
            many = f"{waiting} change{'' if waiting == 1 else 's'}"
            self.stdout.write(f"A draft waits ({many}): manage.py config draft show.")

    @contextmanager
    def database(self) -> Iterator[None]:
        """Trouble with the rows, or with reaching them, ends the command."""
        try:
            yield
        except DocumentError as error:
            self.fail("the database", *error.problems)
        except Error as error:
            reason = str(error)
            mend = "is it there, and is `migrate` done?"
            if "locked" in reason:  # SQLite's word for a writer that takes long
                mend = "somebody else is writing: try again"
            self.fail("the database", f"{reason} ({mend})")

    def rows_to_replace(self) -> Document:
        """What the rows say; nothing, with a word on it, where they do not hold."""
        try:
            return compile.document()
        except DocumentError as error:
            self.stderr.write(f"the database does not hold and is replaced whole: {error}")
            return Document()

    def fail(self, where: str, *problems: Problem | str) -> NoReturn:
        """A line for each problem, with where it is first; exit 2."""
        if self.json:
            found = [
                {"path": problem.where, "message": problem.message}
                if isinstance(problem, Problem)
                else {"path": "", "message": problem}
                for problem in problems
            ]
            self.print_json({"problems": found})
        else:
            for problem in problems:
                line = " ".join(str(problem).split())
                self.stderr.write(f"{where}: {line}")
        sys.exit(WRONG)

    def print_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.stdout.write(str(change))

    def print_json(self, data: object) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))


def plain_changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {"kind": change.kind, "path": change.path, "old": change.old, "new": change.new}
        for change in changes
    ]


def _told(row: Revision) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": reports.text(row.created_at),
        "who": row.who,
        "why": row.why,
        "comment": row.comment,
        "changes": row.changes,
    }
