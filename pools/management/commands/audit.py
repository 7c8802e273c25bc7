"""`manage.py audit`: who did what."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.db.models import Q

from pools.control import clock
from pools.management import terminal
from pools.models import AuditEntry
from pools.notify.words import moment

WRONG = 2
NEWEST = 50


class Command(BaseCommand):
    help = "The audit log, newest first: who did what, with old and new values."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", default="", help="by this user, or to this user")
        parser.add_argument("--object", default="", help="to this object, such as web")
        parser.add_argument("--action", default="", help='such as changed, or "signed in"')
        parser.add_argument("--days", type=float, help="not older than so many days")
        parser.add_argument(
            "--limit", type=int, default=NEWEST, help=f"so many at most; default {NEWEST}"
        )
        parser.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        if options["limit"] < 1 or (days is not None and not 0 < days <= 36_500):
            raise CommandError(
                "--limit is 1 or more, --days above 0 and not over 36500", returncode=WRONG
            )
        try:
            found = list(_entries(options))
        except Error as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"the database: {reason} (is it there, and is `migrate` done?)",
                returncode=WRONG,
            ) from None
        if options["json"]:
            plain = [_plain(entry) for entry in found]
            self.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False))
            return
        if not found:
            self.stdout.write("Nothing of that is in the audit log.")
        terminal.table(
            terminal.console(self.stdout),
            ("at", "who", "address", "action", "object", "changes", "revision"),
            [_row(entry) for entry in found],
        )


def _entries(options: dict[str, Any]) -> Any:
    rows = AuditEntry.objects.all()
    if user := options["user"]:
        rows = rows.filter(Q(who=user) | Q(kind="user", name=user))
    if name := options["object"]:
        rows = rows.filter(name=name)
    if action := options["action"]:
        rows = rows.filter(action=action)
    if days := options["days"]:
        rows = rows.filter(at__gte=clock.now() - timedelta(days=days))
    return rows[: options["limit"]]


def _row(entry: AuditEntry) -> tuple[str, ...]:
    return (
        moment(entry.at),
        entry.who or "-",
        entry.address or "-",
        entry.action,
        f"{entry.kind} {entry.name}".strip(),
        "; ".join(_change(change) for change in entry.changes),
        str(entry.revision or ""),
    )


def _change(change: dict[str, Any]) -> str:
    old, new = (json.dumps(change[name], ensure_ascii=False) for name in ("old", "new"))
    return f"{change['field']}: {old} -> {new}"


def _plain(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at.isoformat(),
        "who": entry.who,
        "address": entry.address,
        "action": entry.action,
        "kind": entry.kind,
        "name": entry.name,
        "changes": entry.changes,
        "revision": entry.revision,
    }
