"""What a process carries, by the clock of a database server: python -m tests.control.carrying

A process of its own, as the project reads its environment once. Says in JSON how many
requests were read of it, in all and by name, and how many rows are left when it is all old.
"""

from __future__ import annotations

import json
import time
from random import Random

import django

from tests import migrated


def main() -> None:
    django.setup()
    from pools.control import buckets, clock, counting, figures
    from pools.core.counters import Counters, bucket
    from pools.core.engine import Engine
    from pools.models import TrafficBucket, TrafficNow

    migrated.migrate()
    counters = Counters()
    counting.count_from(counting.Source(counters, lambda: 1))
    engine = Engine(clock=time.monotonic, random=Random(1))
    carrying = counting.Counting()
    for _ in range(5):
        counters.backend("web/a:80").count(2, 3, 5, bucket(0.01))
    carrying.turn(engine, database=True)
    now = figures.latest()
    assert now.backends["web/a:80"].requests_per_s == now.total.requests_per_s == 0.5
    carrying.end(engine)
    assert figures.latest() == figures.Figures()

    name = "backend:web/a:80"
    begins = TrafficBucket.objects.filter(width_s=3600, part=buckets.WHOLE)
    hours = sorted(set(begins.values_list("begins_at", flat=True)))
    total = sum(point.sums.requests for point in figures._read(3600, hours, ""))
    by_name = sum(point.sums.requests for point in figures._read(3600, hours, name))
    buckets.trim(clock.ask().timestamp() + max(buckets.KEPT_S.values()) + 3600)
    rows = TrafficBucket.objects.count() + TrafficNow.objects.count()
    print(json.dumps({"requests": total, "named": by_name, "rows": rows}))


if __name__ == "__main__":
    main()
