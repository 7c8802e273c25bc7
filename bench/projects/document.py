"""The benchmark's document, published into the database of the environment.

    DATA_DIR=… UPSTREAM=http://127.0.0.1:9000 python -m bench.projects.document ROUTES

One pool of one backend, everything at its defaults but the probes, which are off as no
prober runs. One route for everything; more are on hosts of their own (bench.compare.configs).
"""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

import django
from django.core.management import call_command

from bench.compare import configs


def publish(upstream: str, routes: int = 1) -> None:
    """Django is set up. The route for everything is one of the routes."""
    from pools.control import apply, publish
    from pools.core import codec

    backend = urlsplit(upstream)
    found: list[dict[str, Any]] = [{"name": "all", "pool": "bench"}]
    if routes > 1:
        found += [
            {
                "name": host + prefix.replace("/", "."),
                "pool": "bench",
                "hosts": [host],
                "path_prefix": prefix,
            }
            for host, prefixes in configs.hosts(routes)
            for prefix in prefixes
        ][: routes - 1]
    pool = {
        "name": "bench",
        "probe": {"kind": "off"},
        "backends": [{"host": backend.hostname, "port": backend.port}],
    }
    call_command("migrate", verbosity=0)
    with publish.change(who="the benchmark"):
        apply.apply(codec.parse({"pools": [pool], "routes": found}))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxysite.settings")
    django.setup()
    publish(os.environ["UPSTREAM"], int(sys.argv[1]))
