"""A week of what four processes carried to 1,000 backends, and how long it takes to read.

    python -m bench.projects.carried

Says in JSON: milliseconds of each reading, and megabytes.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import django
from django.core.management import call_command

PROCESSES, BACKENDS, POOLS, ROUTES = 4, 1_000, 20, 100
REQUESTS = 40  # of each backend in ten seconds
TURNS = 7


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    from pools.control import figures

    before = _megabytes()
    _carry()
    key = next(_keys())
    found = {
        "latest(), the total": _ms(lambda: figures.latest().total),
        "latest(), 100 backends": _ms(
            lambda: list(islice(figures.latest().backends.values(), 100))
        ),
        "latest(), all backends": _ms(lambda: list(figures.latest().backends.values())),
    }
    for window in figures.WINDOWS:
        found[f"series({window})"] = _ms(partial(figures.series, window))
        found[f"series({window}, backend)"] = _ms(partial(figures.series, window, backend=key))
    print(json.dumps({"ms": found, "megabytes": _megabytes() - before}))


def _ms(read: Callable[[], object]) -> float:
    read()
    took = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        read()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def _keys() -> Iterator[str]:
    for number in range(BACKENDS):
        yield f"pool{number % POOLS}/10.0.{number // 250}.{number % 250}:8000"


def _carry() -> None:
    """Spans of each width, as if all had been busy for a week. What is in a span is the same
    for all of a width and process."""
    from pools.control import buckets, clock, counting
    from pools.core.counters import Counters, bucket
    from pools.core.engine import Engine
    from pools.core.sums import Tally
    from pools.models import TrafficBucket

    chance = random.Random(1)
    engine = Engine(clock=time.monotonic, random=chance)
    now = clock.ask().timestamp()
    for _ in range(PROCESSES):
        counters = Counters()
        # What had looked before the source came counts all of it.
        counting.count_from(None)
        writing = counting.Counting(pause=bool)
        counting.count_from(counting.Source(counters, lambda: 100))
        for number, key in enumerate(_keys()):
            traffics = counters.backend(key), counters.route(f"route{number % ROUTES}")
            for _ in range(REQUESTS):
                slot = bucket(chance.lognormvariate(-4, 1))
                for traffic in traffics:
                    traffic.count(2, 100, 1000, slot)
        look = Tally(counters).look()
        writing.turn(engine, database=True)
        for width_s, kept_s in buckets.KEPT_S.items():
            span = buckets.Span(width_s, 0, 0.0)
            for _ in range(min(width_s // buckets.FINE_S, 60)):
                span.add(look, 100, until=width_s, took_s=width_s, pause=bool)
            rows = span.rows(bool)
            newest = int(now // width_s * width_s)
            for begins_at in range(newest - kept_s, newest, width_s):
                TrafficBucket.objects.bulk_create(
                    TrafficBucket(
                        width_s=width_s, part=row.part, begins_at=begins_at, packed=row.packed
                    )
                    for row in rows
                )


def _megabytes() -> float:
    from django.db import connection

    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(str(connection.settings_dict["NAME"])).stat().st_size / 1e6
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (size,) = cursor.fetchone()
    return float(size) / 1e6


if __name__ == "__main__":
    main()
