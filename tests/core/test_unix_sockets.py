"""What names a backend on a Unix socket to itself and to clients."""

import pytest

from pools.core.headers import host_for
from pools.core.mending import Mending
from tests.core.build import pool, snapshot


def only_route(mode):
    web = pool([{"host": "unix:/run/app.sock"}], host={"mode": mode})
    strip = {"name": "r", "pool": "web", "path_prefix": "/api", "prefix_mode": "strip"}
    return snapshot(web, routes=[strip]).routes.routes[0]


def mended(mode, location):
    route = only_route(mode)
    (backend,) = route.pool.backends
    public = b"public.test"
    mending = Mending(
        route=route,
        backend=backend.spec,
        sent_host=host_for(route, backend, public),
        public_scheme=b"https",
        public_host=public,
    )
    return mending.location(location)


@pytest.mark.parametrize(
    ("mode", "asked", "sent"),
    [
        ("backend", b"public.test", b"localhost"),
        ("preserve", b"public.test", b"public.test"),
        ("preserve", b"", b"localhost"),
    ],
)
def test_it_is_localhost_to_itself(mode, asked, sent):
    route = only_route(mode)
    assert host_for(route, route.pool.backends[0], asked) == sent


@pytest.mark.parametrize(
    ("mode", "location", "expected"),
    [
        ("backend", b"http://localhost/x", b"https://public.test/api/x"),
        ("backend", b"http://localhost:80/x", b"https://public.test/api/x"),
        ("backend", b"/x", b"/api/x"),
        ("preserve", b"https://public.test/x", b"https://public.test/api/x"),
        ("preserve", b"http://other.test/x", b"http://other.test/x"),
        ("preserve", b"http://unix:/run/app.sock", b"http://unix:/run/app.sock"),
    ],
)
def test_its_redirects_come_back_to_the_public_host(mode, location, expected):
    assert mended(mode, location) == expected
