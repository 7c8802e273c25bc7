"""`manage.py backend`: one backend, looked at by its name."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from pools.management import probing, terminal


class Command(BaseCommand):
    help = "Probe backends now."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
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
        self.probe(options["target"], as_json=options["json"])

    def probe(self, target: str, *, as_json: bool) -> None:
        probed = probing.probe(target)
        if as_json:
            self.print_json({"backends": [each.plain() for each in probed]})
        else:
            probing.show(probed, terminal.console(self.stdout))
        if not all(each.result.ok for each in probed):
            sys.exit(probing.UNHEALTHY)

    def print_json(self, data: object) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
