"""`manage.py config`: the configuration as a file, and back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pools.control import compile, files, publish
from pools.control.apply import apply
from pools.control.diff import diff
from pools.core import codec
from pools.core.document import Document
from pools.core.errors import DocumentError
from pools.management.revising import Revising, plain_changes
from pools.management.terminal import who

DIFFERENT = 1


class Command(Revising):
    help = (
        "Export, check, compare and apply the configuration as YAML; list and restore "
        "revisions; publish the draft."
    )

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
        for verb in (export, check, compared, applied, *self.add_revising(verbs)):
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
            case "revisions":
                self.revisions(most=options["n"])
            case "restore":
                known = {name: options[name] for name in ("dry_run", "comment")}
                self.restore(options["number"], **known)
            case "draft":
                self.draft(options["act"], options["objects"], comment=options["comment"])

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
            self.print_json({"changes": plain_changes(changes)})
        else:
            self.print_changes(changes)
        if changes:
            sys.exit(DIFFERENT)

    def apply(self, file: str, *, dry_run: bool, why: str) -> None:
        wanted = self.read(file)
        outcome = None
        with self.database():
            if dry_run:
                changes = diff(compile.document(), wanted)
            else:
                with publish.change(who=who("config apply"), why=why) as outcome:
                    changes = diff(self.rows_to_replace(), wanted)
                    apply(wanted)
            self.print_done(changes, outcome)

    # --- reading -------------------------------------------------------------------------

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
