"""`manage.py config`: the configuration as a file, and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error

from pools.control import compile, files, publish
from pools.control.apply import apply
from pools.control.diff import Change, diff
from pools.core import codec
from pools.core.document import Document
from pools.core.errors import DocumentError, Problem
from pools.management.terminal import who

DIFFERENT, WRONG = 1, 2


class Command(BaseCommand):
    help = "Export, check, compare and apply the configuration as YAML."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        export = verbs.add_parser("export", help="write the configuration as YAML")
        export.add_argument("--full", action="store_true", help="with every default")
        export.add_argument("-o", "--output", metavar="FILE", help="not to the terminal")
        check = verbs.add_parser("check", help="say whether a file holds; exit 2 if not")
        compared = verbs.add_parser(
            "diff", help="what apply would change; exit 0: nothing, 1: something, 2: trouble"
        )
        applied = verbs.add_parser("apply", help="make the configuration what the file says")
        applied.add_argument("--dry-run", action="store_true", help="only say what it would do")
        applied.add_argument("--why", default="", metavar="TEXT", help="kept with the revision")
        for verb in (check, compared, applied):
            verb.add_argument("file", metavar="FILE", help="YAML or JSON; -: standard input")
        for verb in (export, check, compared, applied):
            verb.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        self.json = bool(options["json"])
        match verb:
            case "export":
                self.export(full=options["full"], output=options["output"])
            case "check":
                self.check_file(options["file"])
            case "diff":
                self.diff(options["file"])
            case "apply":
                self.apply(options["file"], dry_run=options["dry_run"], why=options["why"])

    def export(self, *, full: bool, output: str | None) -> None:
        with self.database():
            document = compile.document()
        text = files.dump(document, defaults=full)
        if self.json:
            plain = {"pools": [], **codec.to_plain(document, defaults=full)}
            text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
        if output is None:
            self.stdout.write(text, ending="")
            return
        try:
            Path(output).write_text(text, encoding="utf-8")
        except OSError as error:
            self.fail(output, f"cannot be written: {error.strerror}")

    def check_file(self, file: str) -> None:
        document = self.read(file)
        backends = sum(len(pool.backends) for pool in document.pools)
        counts = {
            "pools": len(document.pools),
            "backends": backends,
            "routes": len(document.routes),
        }
        if self.json:
            self.print_json({"problems": [], **counts})
        else:
            words = ", ".join(f"{what} {count}" for what, count in counts.items())
            self.stdout.write(f"{file}: holds ({words})")

    def diff(self, file: str) -> None:
        wanted = self.read(file)
        with self.database():
            changes = diff(compile.document(), wanted)
        if self.json:
            self.print_json({"changes": _plain(changes)})
        else:
            self.print_changes(changes)
        if changes:
            sys.exit(DIFFERENT)

    def apply(self, file: str, *, dry_run: bool, why: str) -> None:
        wanted = self.read(file)
        number = None
        with self.database():
            if dry_run:
                changes = diff(compile.document(), wanted)
            else:
                with publish.change(who=who("config apply"), why=why) as outcome:
                    changes = diff(self.rows_to_replace(), wanted)
                    apply(wanted)
                number = outcome.revision.number if outcome.revision else None
        if self.json:
            self.print_json({"changes": _plain(changes), "revision": number})
            return
        self.print_changes(changes)
        if number is not None:
            self.stdout.write(f"Published as revision {number}.")
        elif changes:
            self.stdout.write("Nothing was changed: this was a dry run.")
        else:
            self.stdout.write("Nothing to change.")

    # --- reading and saying ------------------------------------------------------------

    def read(self, file: str) -> Document:
        """The document of a file; what is wrong with it ends the command."""
        try:
            with sys.stdin.buffer if file == "-" else open(file, "rb") as stream:
                content = stream.read(files.MAX_BYTES + 1)
            return compile.checked(files.load(content))
        except OSError as error:
            self.fail(file, f"cannot be read: {error.strerror}")
        except files.FileError as error:
            self.fail(file, str(error))
        except DocumentError as error:
            self.fail(file, *error.problems)

    def rows_to_replace(self) -> Document:
        """What the rows say; nothing, with a word on it, where they do not hold."""
        try:
            return compile.document()
        except DocumentError as error:
            self.stderr.write(f"the database does not hold and is replaced whole: {error}")
            return Document()

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

    def print_changes(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            self.stdout.write(str(change))

    def print_json(self, data: object) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))


def _plain(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    return [
        {"kind": change.kind, "path": change.path, "old": change.old, "new": change.new}
        for change in changes
    ]
