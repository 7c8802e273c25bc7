"""An installation of the project as it is after some days of use, made up.

Rows show health that is good and bad, revisions, alerts; nothing is probed, as nothing
but the console runs. Pictures are taken of it, and the browser tests walk through it.

    python -m scripts.installation FOLDER            fills a data folder, says its ids as JSON
    python -m scripts.installation FOLDER --empty    with no pool and no route
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
USER, PASSWORD = "admin", "made-up-for-pictures-and-tests"
# What a developer may have set, and an installation of its own must not take over.
_FOREIGN = (
    *("ADMIN_HOST", "ALLOWED_HOSTS", "DATABASE_URL", "DEBUG", "EMAIL_URL", "REDIS_URL"),
    *("SECRET_KEY", "SECURE_COOKIES", "TRUSTED_PROXIES", "WEB_PROXY"),
)

DOCUMENT = {
    "pools": [
        {
            "name": "shop",
            "policy": "least_requests",
            "sticky": {"mode": "cookie"},
            "backends": [
                {"host": "10.0.0.11", "port": 8000},
                {"host": "10.0.0.12", "port": 8000},
                {"host": "10.0.0.13", "port": 8000, "weight": 2},
                {"host": "10.0.0.14", "port": 8000},
                {"host": "10.0.0.15", "port": 8000, "backup": True},
            ],
        },
        {
            "name": "images",
            "policy": "consistent_hash",
            "hash": {"on": "path"},
            "backends": [
                {"host": "10.0.1.21", "port": 9000},
                {"host": "10.0.1.22", "port": 9000, "state": "drain"},
            ],
        },
        {
            "name": "search",
            "backends": [{"host": "search.internal", "port": 9200, "state": "maint"}],
        },
        {
            "name": "workers",
            "backends": [{"host": f"10.1.0.{n}", "port": 8080} for n in range(1, 53)],
        },
    ],
    "routes": [
        {"name": "shop", "pool": "shop", "hosts": ["shop.example.com"]},
        {
            "name": "shop-beta",
            "pool": "shop",
            "hosts": ["shop.example.com"],
            "conditions": [
                {"header": "X-Beta", "match": "present"},
                {"header": "X-Version", "match": "equals", "value": "2"},
            ],
            "request_headers": {"set": {"X-Stage": "beta"}, "remove": ["X-Debug"]},
        },
        {"name": "images", "pool": "images", "hosts": ["*.example.com"], "path_prefix": "/img"},
        {"name": "search", "pool": "search", "path_prefix": "/search", "enabled": False},
        {"name": "shop-old", "pool": "search", "hosts": ["shop.example.com"]},
    ],
}
TRAFFIC = (("shop", "10.0.0.11:8000", 0.8), ("images", "10.0.1.21:9000", 0.2))
TEAM = "pictures"
PEOPLE = {"vera": ("viewer",), "cora": ("viewer",), "dana": ("editor", TEAM)}
DOWN = {"shop/10.0.0.13:8000": "connection refused"}

# Every page of the console, by a name for files and tests; {id} is filled from `made`.
PAGES = {
    "index": "/admin/",
    "dashboard": "/admin/pools/pool/dashboard/?window=24h",
    "pools": "/admin/pools/pool/",
    "pool": "/admin/pools/pool/{shop}/change/",
    "pool-many": "/admin/pools/pool/{many}/change/",
    "pool-add": "/admin/pools/pool/add/",
    "pool-delete": "/admin/pools/pool/{shop}/delete/",
    "pool-paste": "/admin/pools/pool/paste/",
    "paste-backends": "/admin/pools/pool/paste/backends/",
    "paste-into": "/admin/pools/pool/{shop}/paste/",
    "pool-history": "/admin/pools/pool/{shop}/history/",
    "backends": "/admin/pools/backend/",
    "backend": "/admin/pools/backend/{down}/change/",
    "backend-add": "/admin/pools/backend/add/",
    "backend-delete": "/admin/pools/backend/{down}/delete/",
    "backend-history": "/admin/pools/backend/{down}/history/",
    "routes": "/admin/pools/route/",
    "route": "/admin/pools/route/{beta}/change/",
    "route-test": "/admin/pools/route/test/?url=http://shop.example.com/cart%3Fid=7"
    "&headers=X-Beta:+1%0D%0AX-Version:+2%0D%0AX-Debug:+1%0D%0AUser-Agent:+curl/8",
    "route-add": "/admin/pools/route/add/",
    "route-delete": "/admin/pools/route/{beta}/delete/",
    "route-history": "/admin/pools/route/{beta}/history/",
    "alerts": "/admin/pools/alert/",
    "alert": "/admin/pools/alert/{alert}/change/",
    "alert-history": "/admin/pools/alert/{alert}/history/",
    "channels": "/admin/pools/channel/",
    "channel": "/admin/pools/channel/{channel}/change/",
    "channel-add": "/admin/pools/channel/add/",
    "channel-delete": "/admin/pools/channel/{channel}/delete/",
    "channel-history": "/admin/pools/channel/{channel}/history/",
    "deliveries": "/admin/pools/delivery/",
    "delivery": "/admin/pools/delivery/{delivery}/change/",
    "delivery-history": "/admin/pools/delivery/{delivery}/history/",
    "events": "/admin/pools/healthevent/",
    "event": "/admin/pools/healthevent/{event}/change/",
    "event-history": "/admin/pools/healthevent/{event}/history/",
    "revisions": "/admin/pools/revision/",
    "revision": "/admin/pools/revision/{revision}/change/",
    "revision-compare": "/admin/pools/revision/compare/?old=1&new=2",
    "revision-restore": "/admin/pools/revision/1/restore/",
    "draft": "/admin/pools/draft/",
    "revision-history": "/admin/pools/revision/{revision}/history/",
    "users": "/admin/auth/user/",
    "user": "/admin/auth/user/{user}/change/",
    "user-add": "/admin/auth/user/add/",
    "user-delete": "/admin/auth/user/{user}/delete/",
    "user-history": "/admin/auth/user/{user}/history/",
    "user-password": "/admin/auth/user/{user}/password/",
    "groups": "/admin/auth/group/",
    "group": "/admin/auth/group/{group}/change/",
    "group-add": "/admin/auth/group/add/",
    "group-delete": "/admin/auth/group/{group}/delete/",
    "group-history": "/admin/auth/group/{group}/history/",
    "teams": "/admin/pools/team/",
    "team": "/admin/pools/team/{team}/change/",
    "team-add": "/admin/pools/team/add/",
    "team-delete": "/admin/pools/team/{team}/delete/",
    "team-history": "/admin/pools/team/{team}/history/",
    "audit": "/admin/pools/auditentry/",
    "audit-entry": "/admin/pools/auditentry/{entry}/change/",
    "audit-history": "/admin/pools/auditentry/{entry}/history/",
    "codes": "/admin/codes/",
    "password": "/admin/password_change/",
}
# Those that are seen by who is not signed in.
OUTSIDE = {"login": "/admin/login/"}


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """What processes on the data folder find in their environment."""
    own = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    own |= {"DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "proxysite.settings"}
    return {**own, **variables}


def made(folder: Path, *, empty: bool = False) -> dict[str, int]:
    """Fill the data folder, in a process of its own; the ids that PAGES need."""
    argv = [sys.executable, "-m", "scripts.installation", str(folder)]
    done = subprocess.run(
        [*argv, "--empty"] if empty else argv,
        cwd=ROOT,
        env=environment(folder),
        check=True,
        stdout=subprocess.PIPE,
        timeout=120,
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[str]:
    """The URL of a console on the data folder: gunicorn, as `manage.py serve` has it.

    The socket is open from the start, so that the first request waits for it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        argv = [sys.executable, "-m", "gunicorn", "--config", "python:proxysite.gunicorn"]
        argv += ["--bind", f"fd://{fd}", "--workers", "1", "--threads", "4"]
        with (folder / "console.log").open("ab") as log:
            process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=environment(folder, **variables),
                pass_fds=(fd,),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--empty", action="store_true", help="with no pool and no route")
    options = parser.parse_args()
    for name in set(os.environ) - set(environment(options.folder)):
        del os.environ[name]
    os.environ.update(environment(options.folder))
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser(USER, password=PASSWORD)
    names = {"user": user.pk}
    if not options.empty:
        names |= _configured(user)
        names |= _notified()
        names |= _staffed(user)
        _carried()
    print(json.dumps(names))


def _configured(user: Any) -> dict[str, int]:
    from django.contrib.auth.models import Group
    from django.utils import timezone

    from pools.control import publish
    from pools.control.apply import apply
    from pools.core import codec
    from pools.models import Backend, HealthEvent, Pool, ProbeSchedule, Route

    now = timezone.now()
    with publish.change(who=USER, user=user, why="Applied site.yaml"):
        apply(codec.parse(DOCUMENT))
    backends = {row.key: row for row in Backend.objects.select_related("pool")}
    for number, backend in enumerate(backends.values()):
        _probed(backend, number)
    for pool in Pool.objects.all():
        # As if rounds of probes went on for as long as anybody looks.
        ProbeSchedule.objects.create(pool=pool, next_at=now, done_at=now + timedelta(hours=1))
    changed = backends["shop/10.0.0.14:8000"]
    with publish.change(who=USER, user=user, why=f"Changed backend {changed}: weight") as out:
        Backend.objects.filter(pk=changed.pk).update(weight=3)
    assert out.revision
    return {
        "shop": changed.pool_id,
        "many": Pool.objects.get(name="workers").pk,
        "down": backends[next(iter(DOWN))].pk,
        "beta": Route.objects.get(name="shop-beta").pk,
        "event": HealthEvent.objects.latest("at").pk,
        "revision": out.revision.pk,
        "group": Group.objects.get_or_create(name="on call")[0].pk,
    }


def _probed(backend: Any, number: int) -> None:
    from django.utils import timezone

    from pools.models import BackendHealth, HealthEvent

    now = timezone.now()
    down = DOWN.get(backend.key, "")
    started = now - timedelta(hours=26 + number)
    since = now - timedelta(minutes=4) if down else started
    reason = down or "200 in 3 ms"
    BackendHealth.objects.create(
        backend=backend,
        verdict="down" if down else "up",
        since=since,
        changed_at=since,
        reason=reason,
    )
    steps = [("unknown", "up", started, "200 in 3 ms")]
    if down:
        steps.append(("up", "down", since, down))
    for old, new, at, why in steps:
        HealthEvent.objects.create(
            backend=backend, at=at, old=old, new=new, reason=why, seen_by="worker-1"
        )


def _carried() -> None:
    """A day of requests to two pools, more by day than by night."""
    import math
    import time

    from pools.control import buckets
    from pools.core.counters import bucket
    from pools.core.sums import Sums
    from pools.models import TrafficBucket

    def sums(requests: int, errors: int) -> Sums:
        found = Sums()
        found.requests, found.errors = requests, errors
        slow = requests // 40
        found.latency = {bucket(0.004): requests - slow, bucket(0.12): slow}
        return found

    now, rows = time.time(), []
    for width_s, length_s in ((10, 1100), (600, 86_400), (3600, 7 * 86_400)):
        first = int(now - length_s) // width_s * width_s
        for begins_at in range(first, int(now) - width_s, width_s):
            span = buckets.Span(width_s=width_s, begins_at=begins_at, since=begins_at)
            span.until = begins_at + width_s
            span.took_s, span.connection_s = width_s, 12.0 * width_s
            each_s = 40 + 25 * math.sin(begins_at / 13_750)
            for pool, backend, share in TRAFFIC:
                one = sums(int(each_s * share * width_s), int(each_s * share * width_s / 150))
                span.total.add(one)
                span.named[f"pool:{pool}"] = one
                span.named[f"backend:{pool}/{backend}"] = one
            rows += span.rows(bool)
    TrafficBucket.objects.bulk_create(rows)


def _staffed(admin: Any) -> dict[str, int]:
    """People with a role, one of them of a team that has a pool; all with one password."""
    from django.contrib.auth.models import Group, User

    from pools.models import AuditEntry, Pool, Team

    for name, groups in PEOPLE.items():
        person = User.objects.create(username=name, is_staff=True, password=admin.password)
        person.groups.set(Group.objects.get_or_create(name=group)[0] for group in groups)
    team = Team.objects.create(group=Group.objects.get(name=TEAM))
    Pool.objects.filter(name="images").update(team=team)
    return {"team": team.pk, "entry": AuditEntry.objects.latest("at").pk}


def _notified() -> dict[str, int]:
    """A channel that was told of what is down."""
    from django.utils import timezone

    from pools.models import Alert, Channel, Delivery
    from pools.notify import alerts

    url = "https://hooks.example.com/proxysite"
    channel = Channel.objects.create(name="on-call", kind="webhook", url=url, delay_s=0)
    Channel.objects.create(name="ops", kind="email", recipients="ops@example.com")
    alerts.evaluate(timezone.now())
    Delivery.objects.filter(channel=channel).update(
        state="sent", attempts=1, result="status 200", sent_at=timezone.now()
    )
    return {
        "channel": channel.pk,
        "alert": Alert.objects.latest("begun_at").pk,
        "delivery": Delivery.objects.filter(channel=channel).latest("created_at").pk,
    }


if __name__ == "__main__":
    main()
