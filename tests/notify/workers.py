"""Workers side by side: python -m tests.notify.workers URL

A process of its own, as the project reads its environment once. Threads evaluate and
deliver at once while health changes; says in JSON what was told, as URL's server got it.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import django

from tests import migrated

THREADS, TURNS, PORTS = 4, 6, 5


def main(url: str) -> None:
    django.setup()
    from django.db import connection

    from pools.models import Alert, Delivery, Evaluation, Telling
    from pools.notify import alerts, delivery
    from tests.notify import site

    migrated.migrate()
    site.pool(ports=range(1, PORTS + 1), routed=False)
    site.channel(url=url, delay_s=0)

    def work(now):
        try:
            alerts.evaluate(now)
            delivery.deliver(now)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        for turn in range(TURNS):
            change = site.up if turn % 2 else site.down
            change(*range(1, PORTS + 1), seconds=turn * 10)
            now = site.at(turn * 10)
            list(threads.map(work, [now + timedelta(seconds=n / 10) for n in range(THREADS)]))
        work(site.at(TURNS * 10))
    print(
        json.dumps(
            {
                "alerts": Alert.objects.count(),
                "open": Alert.objects.filter(ended_at=None).count(),
                "tellings": Telling.objects.count(),
                "sent": Delivery.objects.filter(state="sent", attempts=1).count(),
                "deliveries": Delivery.objects.count(),
                "changes": Evaluation.current(),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
