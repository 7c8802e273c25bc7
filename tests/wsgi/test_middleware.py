"""Whose a request is; what becomes of it on the wire is the conformance suite's."""

import random
import time
from contextlib import closing

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.log import log_response

from pools.control import watch
from pools.core.engine import Engine
from pools.wsgi import arrival
from pools.wsgi.middleware import ReverseProxyMiddleware
from pools.wsgi.view import PoolProxyView
from tests.conformance.backends import OK
from tests.core.build import pool, snapshot

# An answer that is closed makes Django look at its connection, if an earlier test left one.
pytestmark = pytest.mark.django_db

DJANGO = HttpResponse("Django's")


@pytest.fixture
def engine(monkeypatch, backend):
    made = snapshot(
        pool([{"host": "127.0.0.1", "port": backend.port}]),
        routes=[{"name": "all", "pool": "web", "hosts": ["a.test"]}],
    )
    engine = Engine(clock=time.monotonic, random=random.Random(1), snapshot=made)
    monkeypatch.setattr(watch, "engine", lambda: engine)
    monkeypatch.setattr(watch, "loaded", lambda: True)
    arrival.header_rules.cache_clear()
    yield engine
    arrival.header_rules.cache_clear()


def served(path="/", *, host="a.test", **environ):
    middleware = ReverseProxyMiddleware(lambda request: DJANGO)
    request = RequestFactory().get(path, HTTP_HOST=host, **environ)
    return middleware(request)


def test_what_a_route_takes_goes_to_its_pool(engine):
    with closing(served()) as response:
        assert b"".join(response) == b"ok"


def test_admin_is_djangos(engine, settings):
    settings.POOLS_RESERVED_PATHS = ["/admin"]
    assert served("/admin/x") is DJANGO
    with closing(served("/administrator")) as response:
        assert response.status_code == 200


def test_django_sees_the_host_that_the_target_names(engine, settings):
    settings.POOLS_RESERVED_PATHS = ["/admin"]
    seen = []

    def django(request):
        seen.append(request.META["HTTP_HOST"])
        return DJANGO

    raw = "http://named.test/admin/"
    request = RequestFactory().get("/admin/", HTTP_HOST="localhost", RAW_URI=raw)
    ReverseProxyMiddleware(django)(request)
    assert seen == ["named.test"]


def test_admins_host_is_djangos(engine, settings):
    settings.POOLS_ADMIN_HOST = "a.test"
    assert served() is DJANGO


@pytest.mark.parametrize(("fallthrough", "status"), [(True, 200), (False, 404)])
def test_the_rest_falls_through_or_not(engine, settings, fallthrough, status):
    settings.POOLS_FALLTHROUGH = fallthrough
    response = served(host="b.test")
    assert response.status_code == status
    assert (response is DJANGO) is fallthrough


@pytest.mark.parametrize("path", ["/admin/", "/%61dmin/login/"])
def test_with_a_host_of_its_own_the_admin_falls_through_on_no_other(engine, settings, path):
    settings.POOLS_ADMIN_HOST = "admin.test"
    settings.POOLS_FALLTHROUGH = True
    assert served(path, host="b.test").status_code == 404
    assert served(path, host="admin.test") is DJANGO
    assert served("/other", host="b.test") is DJANGO
    with closing(served(path, host="a.test")) as response:  # a route takes it
        assert b"".join(response) == b"ok"


def test_while_no_routes_are_known_nothing_is_said_to_be_missing(engine, settings, monkeypatch):
    monkeypatch.setattr(watch, "loaded", lambda: False)
    settings.POOLS_FALLTHROUGH = True
    assert served(host="b.test") is DJANGO
    settings.POOLS_FALLTHROUGH = False
    assert served("/admin/", host="b.test") is DJANGO
    response = served(host="b.test")
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    request = RequestFactory().get("/", HTTP_HOST="b.test")
    assert PoolProxyView.as_view()(request, path="x").status_code == 503


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"HTTP_HOST": "a b"}, 400),
        ({"RAW_URI": "/#x"}, 400),
        ({"HTTP_X_A": "a\r\n b"}, 400),
        ({"REQUEST_METHOD": "CONNECT"}, 405),
        ({"RAW_URI": "http://a.test/", "HTTP_HOST": None}, 400),
        ({"RAW_URI": "http://a.test/", "HTTP_HOST": "a.test,a.test"}, 400),
        ({"RAW_URI": "*"}, 400),
        ({"CONTENT_LENGTH": "+5"}, 400),
        ({"CONTENT_LENGTH": "5x"}, 400),
        ({"CONTENT_LENGTH": "-1"}, 400),
        ({"CONTENT_LENGTH": "\xb2"}, 400),
        ({"CONTENT_LENGTH": "1" * 19}, 400),
    ],
)
def test_malformed_requests_go_nowhere(engine, backend, environ, status):
    middleware = ReverseProxyMiddleware(lambda request: DJANGO)
    request = RequestFactory().get("/", HTTP_HOST="a.test")
    request.META |= environ
    if request.META["HTTP_HOST"] is None:
        del request.META["HTTP_HOST"]
    response = middleware(request)
    assert response.status_code == status
    assert response["X-Request-ID"]
    assert backend.connections == 0


def test_asgi_is_refused_in_words():
    request = AsyncRequestFactory().get("/")
    with pytest.raises(ImproperlyConfigured, match="WSGI alone"):
        ReverseProxyMiddleware(lambda request: DJANGO)(request)


def test_view_finds_its_route_where_it_is_mounted_by_itself(engine):
    request = RequestFactory().get("/", HTTP_HOST="a.test")
    with closing(PoolProxyView.as_view()(request, path="x")) as response:
        assert response.status_code == 200
    request = RequestFactory().get("/", HTTP_HOST="b.test")
    assert PoolProxyView.as_view()(request, path="x").status_code == 404
    request = RequestFactory().get("/", HTTP_HOST="a b")
    assert PoolProxyView.as_view()(request, path="x").status_code == 400


def test_commands_to_gunicorn_are_no_fields(engine, backend):
    served(HTTP_SCRIPT_NAME="/x", HTTP_PATH_INFO="/y", HTTP_X_KEPT="1").close()
    request = backend.got()
    assert request.one("X-Kept") == b"1"
    assert request.one("Script-Name") is None
    assert request.one("Path-Info") is None


def test_answer_that_is_never_read_is_given_up(engine, backend):
    """As when the server dies between the head and the body: close() is all that comes."""
    backend.script = backend.closes_after(OK.replace(b": 2", b": 9"))
    response = served()
    assert engine.status()[0].in_flight == 1
    response.close()
    assert engine.status()[0].in_flight == 0


def test_backend_is_free_once_its_answer_is_here(engine):
    response = served()
    assert list(response) == [b"ok"]
    assert engine.status()[0].in_flight == 0
    response.close()


def test_other_middlewares_fields_do_not_replace_the_backends(engine, backend):
    backend.script = backend.answers(
        b"HTTP/1.1 200 OK\r\nX-Both: theirs\r\nX-Both: twice\r\nContent-Length: 0\r\n\r\n"
    )
    with closing(served()) as response:
        response["x-both"] = "ours"
        response["X-Ours"] = "1"
        pairs = [pair for pair in response.items() if pair[0] != "X-Request-ID"]
    assert pairs == [
        ("X-Both", "theirs"),
        ("X-Both", "twice"),
        ("Content-Length", "0"),
        ("X-Ours", "1"),
    ]


def test_backends_errors_are_not_logged_as_ours(engine, backend, caplog):
    backend.script = backend.answers(b"HTTP/1.1 500 Theirs\r\nContent-Length: 0\r\n\r\n")
    with closing(served()) as response:
        log_response("as Django does for each error", response=response)
        assert response.status_code == 500
    assert caplog.records == []
