"""`manage.py notify`: what is wrong now, and whether channels work."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from pools.control import clock, reports
from pools.models import Alert, Channel, Delivery
from pools.models.alert import DeliveryState
from pools.notify import alerts, delivery
from pools.notify.words import moment

NOT_SENT, WRONG = 1, 2


class Command(BaseCommand):
    help = "Alerts that are open, messages that were not sent, and tests of channels."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        test = verbs.add_parser(
            "test", help="send a test; exit 0: it was sent, 1: it was not, 2: trouble"
        )
        test.add_argument("channel", metavar="CHANNEL")
        listed = verbs.add_parser("list", help="open alerts, and messages that were not sent")
        listed.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["verb"] == "test":
                self.test(options["channel"])
            else:
                self.show(as_json=options["json"])
        except Error as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"the database: {reason} (is it there, and is `migrate` done?)",
                returncode=WRONG,
            ) from None

    def test(self, name: str) -> None:
        # Compared here: what a terminal sends may be no text that a database takes.
        channel = next((one for one in Channel.objects.all() if one.name == name), None)
        if channel is None:
            known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none yet"
            raise CommandError(
                f"there is no channel {name!r}: use one of those that there are ({known})",
                returncode=WRONG,
            )
        done = delivery.send_test(channel, clock.now())
        if done.state == DeliveryState.SENT:
            self.stdout.write(f"{name} ({channel.where}): sent, {done.result}")
            return
        self.stderr.write(f"{name} ({channel.where}): not sent, {done.result}")
        sys.exit(NOT_SENT)

    def show(self, *, as_json: bool) -> None:
        found = list(Alert.objects.filter(ended_at=None))
        stuck = list(
            Delivery.objects.exclude(state=DeliveryState.SENT)
            .exclude(state=DeliveryState.PENDING, attempts=0)
            .select_related("channel")
        )
        if as_json:
            plain = {
                "alerts": [alerts.item_of(alert).plain() for alert in found],
                "deliveries": [_plain(one) for one in stuck],
            }
            self.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False))
            return
        for alert in found:
            self.stdout.write(alerts.item_of(alert).line)
        if not found:
            self.stdout.write("No alert is open.")
        for one in stuck:
            pending = one.state == DeliveryState.PENDING
            then = f"again at {moment(one.next_at)}" if pending else "given up"
            self.stdout.write(
                f"not sent to {one.channel.name}: {one.result} "
                f"(attempts: {one.attempts}, {then}): {one.subject}"
            )


def _plain(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.uid,
        "channel": one.channel.name,
        "subject": one.subject,
        "state": one.state,
        "attempts": one.attempts,
        "result": one.result,
        "created_at": reports.text(one.created_at),
        "next_at": reports.text(one.next_at) if one.state == DeliveryState.PENDING else None,
    }
