"""What a page of the console costs, of a large installation.

1,000 pools, 10,000 backends and 1,000 routes on SQLite, with what a prober and gateways leave:
verdicts, 50,000 events, 100,000 buckets of latencies, ejections, alerts, revisions. Every page
that the admin has is asked for through Django's test client, by its own URLs and those of
MORE; a page that takes POST alone is left out. Told are the median and the longest time of
the server, the first answer left out, and the number of queries. It is the processor's time,
the database's within it, which whatever else runs on the machine hardly changes.

    python -m bench.console [--rounds 7] [--only backend] [--json] [--write]

`--write` keeps the table in bench/results/console.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "console.md"
LIMIT_MS = 300.0

POOLS, LARGEST, EACH = 1_000, 1_000, 9  # one pool has a thousand backends
ROUTES = 1_000
EVENTS, BUCKETS = 5, 10  # of a backend

# Pages beside those that the admin's URLs name: lists as people use them.
MORE = {
    "backends, the last page": "/admin/pools/backend/?p=100",
    "backends, those down": "/admin/pools/backend/?health=down",
    "backends, in trouble": "/admin/pools/backend/?trouble=any",
    "backends, searched for": "/admin/pools/backend/?q=10.0.7",
    "backends, by health": "/admin/pools/backend/?o=3",
    "backends of a pool": "/admin/pools/backend/?pool=pool-0500",
    "backends with a tag": "/admin/pools/backend/?tag=eu",
    "pools, some down": "/admin/pools/pool/?health=some",
    "pools, searched for": "/admin/pools/pool/?q=10.0.7",
    "pools with a tag": "/admin/pools/pool/?tag=eu",
    "a pool of 9 backends": "/admin/pools/pool/{small}/change/",
    "live cells of backends": "/admin/pools/backend/live/?rows={rows}",
    "live cells of pools": "/admin/pools/pool/live/?rows={pools}",
}
# Not pages: what they are for says the word.
NO_PAGES = {"jsi18n": "script", "autocomplete": "needs its form", "logout": "POST"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times of the server in ms."""

    page: str
    median_ms: float
    worst_ms: float
    queries: int
    kib: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="pages with this in their address")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proxysite-bench-") as folder:
        prepare(Path(folder))
        found = [
            measured
            for name, url in pages()
            if options.only in url and (measured := measure(name, url, options.rounds))
        ]
    text = table(found)
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        print(text)
    if options.write:
        RESULT.write_text(text)
    slow = [one.page for one in found if one.median_ms > LIMIT_MS]
    if slow:
        sys.exit(f"over {LIMIT_MS:.0f} ms: {', '.join(slow)}")


def prepare(folder: Path) -> None:
    """An installation in `folder`, filled."""
    os.environ.update(DATA_DIR=str(folder), DJANGO_SETTINGS_MODULE="proxysite.settings")
    os.environ["DEBUG"] = "0"
    for name in ("ADMIN_HOST", "DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        os.environ.pop(name, None)
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    proxy = "pools.wsgi.middleware.ReverseProxyMiddleware"  # the console alone is measured
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != proxy]
    settings.ALLOWED_HOSTS.append("testserver")
    call_command("migrate", verbosity=0)
    fill()


def fill() -> None:
    from django.contrib.auth.models import User
    from django.utils import timezone

    from pools.control import publish
    from pools.models import Backend, Pool, ProbeSchedule, Route

    now = timezone.now()
    user = User.objects.create_superuser("admin", password=None)
    with publish.change(who="admin", user=user, why="Applied site.yaml"):
        tags: tuple[list[str], ...] = ([], ["eu"], ["us"], ["eu", "shop"])
        Pool.objects.bulk_create(
            Pool(name=f"pool-{number:04}", tags=tags[number % 4]) for number in range(POOLS)
        )
        pools = list(Pool.objects.order_by("name"))
        Backend.objects.bulk_create(
            Backend(pool=pool, host=f"10.{n // 250}.{number % 250}.{n % 250}", port=8000 + n)
            for number, pool in enumerate(pools)
            for n in range(EACH if number else LARGEST)
        )
        Route.objects.bulk_create(
            Route(
                name=f"route-{number:04}",
                pool=pools[number],
                hosts=[f"app{number % 200}.example.com"],
                path_prefix=f"/s{number}",
                tags=tags[number % 4],
            )
            for number in range(ROUTES)
        )
    ProbeSchedule.objects.bulk_create(
        # As if rounds of probes went on for as long as the measuring takes.
        ProbeSchedule(pool=pool, next_at=now, done_at=now + timedelta(hours=1))
        for pool in pools
    )
    probed(now)
    for number in range(4):
        with publish.change(who="admin", user=user, why=f"Changed backend: weight {number}"):
            Backend.objects.filter(pk=number + 1).update(weight=number + 2)
    told(now)


def probed(now: Any) -> None:
    """What a prober leaves: each tenth backend is down, and each flipped a few times."""
    from pools.models import Backend, BackendHealth, HealthEvent, LatencyBucket

    keys = list(Backend.objects.order_by("pk").values_list("pk", flat=True))
    since = now - timedelta(hours=3)
    BackendHealth.objects.bulk_create(
        BackendHealth(
            backend_id=pk,
            verdict="up" if number % 10 else "down",
            since=since,
            changed_at=since,
            reason="200 in 3 ms" if number % 10 else "connection refused",
            latency_ms=3.2,
        )
        for number, pk in enumerate(keys)
    )
    HealthEvent.objects.bulk_create(
        (
            HealthEvent(
                backend_id=pk,
                at=since - timedelta(hours=3 * step, seconds=number % 600),
                old="up" if step % 2 else "down",
                new="down" if step % 2 else "up",
                reason="connection refused",
            )
            for number, pk in enumerate(keys)
            for step in range(EVENTS)
        ),
        batch_size=5_000,
    )
    LatencyBucket.objects.bulk_create(
        (
            LatencyBucket(
                backend_id=pk,
                begins_at=now - timedelta(minutes=10 * step),
                probes=120,
                failures=0,
                mean_ms=3.0 + step,
                worst_ms=30.0,
            )
            for pk in keys
            for step in range(BUCKETS)
        ),
        batch_size=5_000,
    )


def told(now: Any) -> None:
    """What processes tell of themselves, and who was told of it."""
    from pools.models import Alert, Backend, Channel, Delivery, Process

    keys = [row.key for row in Backend.objects.select_related("pool")[:2_000:10]]
    until = (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ejected = {key: {"until": until, "why": "5 failed requests in a row"} for key in keys}
    for number in range(4):
        Process.objects.create(
            kind="gateway",
            name=f"edge{number}:812",
            started_at=now,
            seen_at=now,
            report={"revision": 5, "ejected": ejected, "panic": ["pool-0000"], "leaving": {}},
        )
    Alert.objects.bulk_create(
        Alert(
            kind="backend_down",
            subject=f"pool-{number:04}/10.0.0.1:8000",
            pool=f"pool-{number:04}",
            begun_at=now,
        )
        for number in range(500)
    )
    channel = Channel.objects.create(name="ops", kind="slack", url="http://127.0.0.1:9/x")
    Delivery.objects.bulk_create(
        Delivery(channel=channel, payload={}, created_at=now, next_at=now) for _ in range(1_000)
    )


def pages() -> Iterator[tuple[str, str]]:
    """A name and an address of each page: the admin's own, then those of MORE."""
    from django.contrib import admin
    from django.contrib.auth.models import Group
    from django.urls import NoReverseMatch, reverse

    from pools.models import Backend, Pool

    Group.objects.create(name="ops")
    seen = set()
    for pattern in admin.site.get_urls():
        name = getattr(pattern, "name", "")
        if name and name not in NO_PAGES:
            try:
                seen.add(url := reverse(f"admin:{name}"))
            except NoReverseMatch:
                continue  # it wants what it is of: below
            yield name, url
    for model, model_admin in admin.site._registry.items():
        newest = model._default_manager.order_by("pk").first()
        for pattern in model_admin.get_urls():
            if not pattern.name:
                continue
            try:
                url = reverse(f"admin:{pattern.name}")
            except NoReverseMatch:
                if newest is None:
                    continue
                url = reverse(f"admin:{pattern.name}", args=(newest.pk,))
            if url not in seen:
                seen.add(url)
                yield pattern.name.removeprefix("pools_"), url
    rows = [str(pk) for pk in Backend.objects.values_list("pk", flat=True)[:100]]
    pools = [str(pk) for pk in Pool.objects.values_list("pk", flat=True)[:100]]
    small = Pool.objects.get(name="pool-0500").pk
    for name, url in MORE.items():
        yield name, url.format(rows=",".join(rows), pools=",".join(pools), small=small)


def measure(name: str, url: str, rounds: int) -> Measured | None:
    """None: it takes POST alone, leads elsewhere, or is nobody's to open."""
    from django.contrib.auth.models import User
    from django.db import connection, reset_queries
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client()
    client.force_login(User.objects.get(username="admin"))
    reset_queries()  # a full log counts no more
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    count = len(queries)
    if answer.status_code in (302, 403, 405):
        return None
    if answer.status_code != 200:
        raise SystemExit(f"{url} answered {answer.status_code}")
    took = []
    for _ in range(rounds):
        begun = time.thread_time()
        client.get(url)
        took.append((time.thread_time() - begun) * 1000)
    return Measured(
        page=name,
        median_ms=statistics.median(took),
        worst_ms=max(took),
        queries=count,
        kib=len(answer.content) // 1024,
    )


def table(found: list[Measured]) -> str:
    rows = "\n".join(
        f"| {one.page} | {one.median_ms:.0f} | {one.worst_ms:.0f} | {one.queries} | {one.kib} |"
        for one in found
    )
    slow = sum(one.median_ms > LIMIT_MS for one in found)
    worst = max((one.median_ms for one in found), default=0.0)
    return (
        "# Pages of the console\n\n"
        "| page | median ms | worst ms | queries | KiB |\n|---|---:|---:|---:|---:|\n"
        f"{rows}\n\n"
        f"{POOLS:,} pools, 10,000 backends, {ROUTES:,} routes, SQLite "
        f"(CPython {platform.python_version()}, {os.cpu_count()} cores): {len(found)} pages, "
        f"{slow} of them over {LIMIT_MS:.0f} ms, the slowest {worst:.0f} ms. "
        "Method: the head of `bench/console.py`.\n"
    )


if __name__ == "__main__":
    main()
