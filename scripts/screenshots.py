#!/usr/bin/env python
"""Makes the pictures of the console that the documentation shows.

    python scripts/screenshots.py                 docs/images/console.png
    python scripts/screenshots.py --review DIR    every page, light, dark and narrow

The console runs in this process, on a data folder that is thrown away, with rows made
up to show health that is good and bad; the pages are drawn by headless Chromium.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=4000",
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
    ],
}
DOWN = {"shop/10.0.0.13:8000": "connection refused"}

PAGES = {
    "index": "/admin/",
    "dashboard": "/admin/pools/pool/dashboard/?window=24h",
    "pools": "/admin/pools/pool/",
    "pool": "/admin/pools/pool/{shop}/change/",
    "pool-add": "/admin/pools/pool/add/",
    "pool-delete": "/admin/pools/pool/{shop}/delete/",
    "backends": "/admin/pools/backend/",
    "backend": "/admin/pools/backend/{down}/change/",
    "routes": "/admin/pools/route/",
    "route": "/admin/pools/route/{beta}/change/",
    "alerts": "/admin/pools/alert/",
    "channels": "/admin/pools/channel/",
    "channel": "/admin/pools/channel/{channel}/change/",
    "deliveries": "/admin/pools/delivery/",
    "events": "/admin/pools/healthevent/",
    "revisions": "/admin/pools/revision/",
    "revision": "/admin/pools/revision/{revision}/change/",
    "users": "/admin/auth/user/",
    "user": "/admin/auth/user/{user}/change/",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--review", type=Path, metavar="DIR", help="draw every page into DIR")
    parser.add_argument("--only", nargs="*", help="with --review: these pages alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proxysite-screenshots-") as folder:
        names, application = prepare(Path(folder))
        with serving(application) as base:
            if options.review:
                options.review.mkdir(parents=True, exist_ok=True)
                for page in options.only or PAGES:
                    review(base + PAGES[page].format(**names), options.review / page)
            else:
                target = ROOT / "docs" / "images" / "console.png"
                draw(f"{base}/admin/pools/backend/", target, size=(1280, 640))


def review(url: str, stem: Path) -> None:
    draw(url, stem.with_suffix(".light.png"), size=(1280, 1400))
    draw(url, stem.with_suffix(".dark.png"), size=(1280, 1400), dark=True)
    draw(url, stem.with_suffix(".narrow.png"), size=(500, 1600))


def prepare(folder: Path) -> tuple[dict[str, int], Callable[..., Iterable[bytes]]]:
    """The ids that PAGES need, and the console as a WSGI application, logged in."""
    os.environ.update(DATA_DIR=str(folder), DJANGO_SETTINGS_MODULE="proxysite.settings")
    for name in ("ADMIN_HOST", "DATABASE_URL", "DEBUG", "REDIS_URL", "SECRET_KEY"):
        os.environ.pop(name, None)
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.test import Client

    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser("admin", password=None)
    names = {**fill(user), "user": user.pk, "channel": notified()}
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    inner = get_wsgi_application()

    def logged_in(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["HTTP_COOKIE"] = f"{settings.SESSION_COOKIE_NAME}={session}"
        return inner(environ, start_response)

    return names, logged_in


def fill(user: Any) -> dict[str, int]:
    from django.utils import timezone

    from pools.control import publish
    from pools.control.apply import apply
    from pools.core import codec
    from pools.models import Backend, BackendHealth, HealthEvent, Pool, ProbeSchedule, Route

    now = timezone.now()
    with publish.change(who="admin", user=user, why="Applied site.yaml"):
        apply(codec.parse(DOCUMENT))
    backends = {row.key: row for row in Backend.objects.select_related("pool")}
    for number, (key, backend) in enumerate(backends.items()):
        verdict = "down" if key in DOWN else "up"
        since = now - (timedelta(minutes=4) if key in DOWN else timedelta(hours=26 + number))
        BackendHealth.objects.create(
            backend=backend,
            verdict=verdict,
            since=since,
            changed_at=since,
            reason=DOWN.get(key, "200 in 3 ms"),
        )
        started = now - timedelta(hours=26 + number)
        steps = [("unknown", "up", started, "200 in 3 ms")]
        if key in DOWN:
            steps.append(("up", "down", since, DOWN[key]))
        for old, new, at, reason in steps:
            HealthEvent.objects.create(
                backend=backend, at=at, old=old, new=new, reason=reason, seen_by="worker-1"
            )
    for pool in Pool.objects.all():
        # As if rounds of probes went on for as long as the pictures take.
        ProbeSchedule.objects.create(pool=pool, next_at=now, done_at=now + timedelta(hours=1))
    changed = backends["shop/10.0.0.14:8000"]
    with publish.change(
        who="admin", user=user, why=f"Changed backend {changed}: weight"
    ) as out:
        Backend.objects.filter(pk=changed.pk).update(weight=3)
    assert out.revision
    return {
        "shop": changed.pool_id,
        "down": backends[next(iter(DOWN))].pk,
        "beta": Route.objects.get(name="shop-beta").pk,
        "revision": out.revision.pk,
    }


def notified() -> int:
    """A channel that was told of what is down; its id."""
    from django.utils import timezone

    from pools.models import Channel, Delivery
    from pools.notify import alerts

    url = "https://hooks.example.com/proxysite"
    channel = Channel.objects.create(name="on-call", kind="webhook", url=url)
    Channel.objects.create(name="ops", kind="email", recipients="ops@example.com")
    alerts.evaluate(timezone.now())
    Delivery.objects.filter(channel=channel).update(
        state="sent", attempts=1, result="status 200", sent_at=timezone.now()
    )
    return channel.pk


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(application: Callable[..., Iterable[bytes]]) -> Iterator[str]:
    """The base URL of the application on a free port of the loopback interface."""
    with make_server("127.0.0.1", 0, application, _Server, _Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def draw(url: str, target: Path, *, size: tuple[int, int], dark: bool = False) -> None:
    width, height = size
    with tempfile.TemporaryDirectory(prefix="proxysite-chromium-") as profile:
        subprocess.run(
            [
                CHROMIUM,
                *FLAGS,
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--screenshot={target}",
                url,
            ],
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    print(target)


if __name__ == "__main__":
    main()
