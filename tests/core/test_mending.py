import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core.mending import Mending
from tests.core.build import pool, snapshot

STRIP = {"path_prefix": "/api", "prefix_mode": "strip"}
KEEP = {"path_prefix": "/api"}
REPLACE = {"path_prefix": "/v1", "prefix_mode": "replace", "prefix_replacement": "/app"}
UNROOT = {"path_prefix": "/", "prefix_mode": "replace", "prefix_replacement": "/app"}
ROOT = {"path_prefix": "/v1", "prefix_mode": "replace", "prefix_replacement": "/"}


def mending(route, *, sent_host=b"inner:8000", scheme=b"https", public=b"public.test"):
    made = snapshot(pool(), routes=[{"name": "r", "pool": "web", **route}])
    compiled = made.routes.routes[0]
    return Mending(
        route=compiled,
        backend=compiled.pool.spec.backends[0],  # b1:80
        sent_host=sent_host,
        public_scheme=scheme,
        public_host=public,
    )


@pytest.mark.parametrize(
    ("route", "value", "expected"),
    [
        (STRIP, b"/x?a=/b#c", b"/api/x?a=/b#c"),
        (STRIP, b"/", b"/api/"),
        (STRIP, b"/?q", b"/api/?q"),
        (STRIP, b"/apix", b"/api/apix"),
        (STRIP, b"/api", b"/api"),
        (STRIP, b"/api?q", b"/api?q"),
        (STRIP, b"../x", b"../x"),
        (STRIP, b"?q", b"?q"),
        (STRIP, b"", b""),
        (KEEP, b"/x", b"/x"),
        (REPLACE, b"/app/x", b"/v1/x"),
        (REPLACE, b"/app", b"/v1"),
        (REPLACE, b"/apple", b"/apple"),
        (REPLACE, b"/x", b"/x"),
        (UNROOT, b"/app/x", b"/x"),
        (UNROOT, b"/app", b"/"),
        (UNROOT, b"/app?q", b"/?q"),
        (ROOT, b"/x", b"/v1/x"),
    ],
)
def test_paths_get_back_what_the_route_took(route, value, expected):
    assert mending(route).location(value) == expected


def test_no_path_becomes_a_reference_to_another_host():
    assert mending(UNROOT).location(b"/app//evil.test") == b"/app//evil.test"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"http://inner:8000/x", b"https://public.test/api/x"),
        (b"HTTP://INNER:8000/x", b"https://public.test/api/x"),
        (b"http://b1/x", b"https://public.test/api/x"),
        (b"http://b1:80", b"https://public.test/api/"),
        (b"https://b1:443/x", b"https://b1:443/x"),
        (b"//inner:8000/x", b"//public.test/api/x"),
        (b"http://public.test/x", b"http://public.test/api/x"),
        (b"https://public.test:443/x", b"https://public.test:443/api/x"),
        (b"https://public.test", b"https://public.test/api/"),
        (b"https://public.test.evil/x", b"https://public.test.evil/x"),
        (b"https://elsewhere.test/x", b"https://elsewhere.test/x"),
        (b"ftp://inner:8000/x", b"ftp://inner:8000/x"),
        (b"javascript:alert(1)", b"javascript:alert(1)"),
    ],
)
def test_urls_to_the_backend_come_back_to_the_public_host(value, expected):
    assert mending(STRIP).location(value) == expected


def test_url_of_a_kept_prefix_changes_its_host_alone():
    assert mending(KEEP).location(b"http://inner:8000?q") == b"https://public.test?q"


@pytest.mark.parametrize(
    ("route", "value", "expected"),
    [
        (STRIP, b"a=1; Path=/", b"a=1; Path=/api"),
        (STRIP, b"a=1;PATH = /x ; Secure", b"a=1;PATH =/api/x; Secure"),
        (STRIP, b"a=Path=/; Path=/api", b"a=Path=/; Path=/api"),
        (STRIP, b"a=1; Path=x", b"a=1; Path=x"),
        (STRIP, b"a=1; Path", b"a=1; Path"),
        (STRIP, b"__Host-a=1; Path=/", b"__Host-a=1; Path=/"),
        (KEEP, b"a=1; Path=/x", b"a=1; Path=/x"),
        (UNROOT, b"a=1; Path=/app", b"a=1; Path=/"),
        (UNROOT, b"a=1; Path=/", b"a=1; Path=/"),
    ],
)
def test_cookie_paths_get_back_what_the_route_took(route, value, expected):
    assert mending(route).cookie(value) == expected


@given(st.binary())
def test_kept_prefix_changes_no_path(value):
    assert mending(KEEP).location(b"/x" + value) == b"/x" + value
