"""A worker that sends one message: python -m tests.notify.sender URL SECONDS

It makes the message where there is none, and delivers what is due so many seconds later.
Says in JSON what became of it.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta

import django

from tests import migrated

BEGUN = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def main(url: str, seconds: float) -> None:
    django.setup()
    from pools.models import Channel, Delivery
    from pools.notify import delivery

    migrated.migrate()
    if not Delivery.objects.exists():
        Delivery.objects.create(
            channel=Channel.objects.create(name="ops", kind="webhook", url=url),
            subject="web is down",
            text="web is down",
            payload={"n": 1},
            created_at=BEGUN,
            next_at=BEGUN,
        )
    sent = delivery.deliver(BEGUN + timedelta(seconds=seconds))
    row = Delivery.objects.get()
    print(json.dumps({"sent": sent, "state": row.state, "attempts": row.attempts}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
