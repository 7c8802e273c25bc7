"""This project as it is served, with one pool and one route in a database of its own."""

import os
from urllib.parse import urlsplit

from django.core.management import call_command

from proxysite.wsgi import application

__all__ = ["application"]

from pools.control import apply, publish
from pools.core import codec

_upstream = urlsplit(os.environ["UPSTREAM"])

call_command("migrate", verbosity=0)
with publish.change(who="the benchmark"):
    apply.apply(
        codec.parse(
            {
                "pools": [
                    {
                        "name": "bench",
                        "probe": {"kind": "off"},
                        "backends": [{"host": _upstream.hostname, "port": _upstream.port}],
                    }
                ],
                "routes": [{"name": "all", "pool": "bench"}],
            }
        )
    )
