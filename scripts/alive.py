"""Processes and figures of this moment, told again and again: pictures show a proxy at work.

python -m scripts.alive FOLDER       on a data folder of scripts.installation, until killed
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.installation import ROOT, TRAFFIC, environment

EACH_S = 2.0
GATEWAYS = ("edge-1:2101", "edge-2:1877")
_RATE = 61.0


@contextmanager
def alive(folder: Path) -> Iterator[None]:
    """While pictures are taken; gives back once all has been told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.alive", str(folder)],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    try:
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    folder = Path(sys.argv[1])
    os.environ.update(environment(folder))
    import django

    django.setup()
    while True:
        _tell()
        print("told", flush=True)
        time.sleep(EACH_S)


def _tell() -> None:
    from django.db.models.functions import Now

    from pools.control import buckets, publish
    from pools.core.counters import bucket
    from pools.core.sums import Sums
    from pools.models import Process, TrafficNow

    at = datetime.now(UTC).isoformat(timespec="seconds")
    follows: dict[str, Any] = {"revision": publish.revision(), "took_s": 0.3}
    follows |= {"ejected": {}, "panic": [], "leaving": {}}
    reports: dict[tuple[str, str], dict[str, Any]]
    reports = {("gateway", name): follows for name in GATEWAYS}
    reports["worker", "jobs-1:811"] = {"last_tick_at": at, "broker": "", "probing": {}}
    reports["beat", "jobs-1:799"] = {"last_sent_at": at, "broker": ""}
    Process.objects.bulk_create(
        [
            Process(kind=kind, name=name, started_at=Now(), seen_at=Now(), report=report)
            for (kind, name), report in reports.items()
        ],
        update_conflicts=True,
        unique_fields=["kind", "name"],
        update_fields=["seen_at", "report"],
    )
    total, named = Sums(), {}
    for pool, backend, share in TRAFFIC:
        one = Sums()
        one.requests, one.errors = int(_RATE * share * 60), int(_RATE * share * 60 / 150)
        one.latency = {bucket(0.004): one.requests - one.requests // 40}
        one.latency[bucket(0.12)] = one.requests // 40
        total.add(one)
        for name in (f"pool:{pool}", f"backend:{pool}/{backend}"):
            named[name] = one.packed()
    whole: dict[str, Any] = {"took_s": 60.0, "connections": 12, "total": total.packed()}
    whole["in_flight"] = {f"{pool}/{backend}": 2 for pool, backend, _share in TRAFFIC}
    kinds: dict[str, dict[str, Any]] = {}
    for name, packed in named.items():
        kinds.setdefault(name.partition(":")[0], {})[name] = packed
    TrafficNow.objects.update_or_create(
        writer="pictures",
        defaults={
            "seen_at": time.time(),
            "packed": buckets.pack([whole, *kinds.values()]),
        },
    )


if __name__ == "__main__":
    main()
