"""`manage.py route`: which route takes a request and why, and all of them in order."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from pools.control import asked, route_list
from pools.control.explain import Explained, explain
from pools.control.explained_text import columns, text
from pools.core.errors import DocumentError

NONE, WRONG = 1, 2


class Command(BaseCommand):
    help = "Explain where a request goes by the published revision, and list the routes."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verb = verbs.add_parser(
            "explain", help="exit 0: a route takes it, 1: none does, 2: trouble"
        )
        verb.add_argument("method", metavar="METHOD")
        verb.add_argument("url", metavar="URL", help="whole, or a path alone")
        verb.add_argument(
            *("-H", "--header"),
            dest="headers",
            action="append",
            default=[],
            metavar="'NAME: VALUE'",
            help="a header of the request; Host goes before the URL's",
        )
        verb.add_argument(
            "--client",
            default=asked.CLIENT,
            metavar="ADDRESS",
            help="who connects; a trusted proxy's X-Forwarded-For is believed",
        )
        verb.add_argument("--json", action="store_true", help="answer in JSON")
        verb = verbs.add_parser(
            "list", help="the routes as they are saved, in the order in which they match"
        )
        verb.add_argument(
            "--host", default=None, help="those alone that take requests to this host"
        )
        verb.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["verb"] == "list":
                self._list(**options)
                return
            request = {key: options[key] for key in ("method", "url", "headers", "client")}
            found = _explained(**request)
        except ValueError as error:
            if not options["json"]:
                raise CommandError(str(error), returncode=WRONG) from None
            self.print_json({"error": str(error)})
            sys.exit(WRONG)
        if options["json"]:
            self.print_json(found.plain())
        else:
            self.stdout.write(text(found), ending="")
        if not found.taken:
            sys.exit(NONE)

    def _list(self, *, host: str | None, json: bool, **_: Any) -> None:
        try:
            lines = route_list.lines(host)
        except Error as error:
            raise ValueError(_database(error)) from None
        if json:
            self.print_json([line.plain() for line in lines])
            return
        for row in columns(route_list.NAMES, [line.cells() for line in lines]):
            self.stdout.write(row)

    def print_json(self, data: object) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))


def _explained(**request: Any) -> Explained:
    """Raises ValueError with what is wrong, in one line."""
    typed = asked.read(**request)
    try:
        return explain(typed)
    except DocumentError as error:
        problems = " ".join(str(error).split())
        raise ValueError(f"the published revision cannot be read: {problems}") from None
    except Error as error:
        raise ValueError(_database(error)) from None


def _database(error: Error) -> str:
    reason = " ".join(str(error).split())
    return f"the database: {reason} (is it there, and is `migrate` done?)"
