"""The app in somebody else's project: INSTALLED_APPS, MIDDLEWARE, and nothing more."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pools.core import codec
from tests.conformance.backends import OK, Backend
from tests.conformance.client import Client, Response
from tests.conformance.planes import WsgiPlane


class Mounted(WsgiPlane):
    name = "mounted"
    project = "tests.mounted.project"

    def command(self, listener: socket.socket) -> list[str]:
        return [
            *("gunicorn", f"{self.project}.wsgi", "--bind", f"fd://{listener.fileno()}"),
            *("--worker-class", "gthread", "--threads", "16", "--no-control-socket"),
        ]


class Development(Mounted):
    """The same under runserver, which cannot inherit a socket: it takes the port over."""

    def command(self, listener: socket.socket) -> list[str]:
        port = listener.getsockname()[1]
        listener.close()
        return ["django", "runserver", "--noreload", f"127.0.0.1:{port}"]


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture(scope="module", params=[Mounted, Development], ids=["gunicorn", "runserver"])
def address(
    request: pytest.FixtureRequest, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    folder: Path = tmp_path_factory.mktemp("mounted")
    (folder / "data").mkdir()
    document = codec.parse(
        {
            "pools": [
                {
                    "name": "parts",
                    "probe": {"kind": "off"},
                    "backends": [{"host": "127.0.0.1", "port": backend.port}],
                }
            ],
            "routes": [
                {"name": "parts", "pool": "parts", "path_prefix": "/parts"},
                {"name": "other", "pool": "parts", "hosts": ["other.test"]},
            ],
        }
    )
    plane = request.param()
    yield plane.start(document, folder)
    plane.stop()


@pytest.fixture
def get(address: tuple[str, int], backend: Backend) -> Callable[..., Response]:
    backend.reset()

    def get(target: str, host: str = "shop.test", *, body: bytes = b"") -> Response:
        with Client(address) as client:
            method = "POST" if body else "GET"
            client.send(
                f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            return client.response(method)

    return get


def test_routes_take_what_is_theirs(get, backend):
    assert get("/parts/x?y=1&y=2&z").body == b"ok"
    assert backend.got().target == b"/parts/x?y=1&y=2&z"


def test_the_rest_is_the_projects(get):
    assert get("/").body == b"the shop's own page"
    assert get("/nothing").status == 404
    assert get("/slash").one("Location") == b"/slash/"


def test_projects_hosts_do_not_limit_routes(get, backend):
    assert get("/", "other.test").body == b"ok"
    assert get("/", "third.test").status == 400  # Django's answer: no route, no such host


def test_projects_limits_do_not_touch_proxied_bodies(get, backend):
    """Neither CSRF nor the limit on bodies, a thousand bytes here."""
    assert get("/parts", body=bytes(3_000_000)).status == 200
    assert len(backend.got().body) == 3_000_000
    assert get("/", body=b"x").status == 403  # the project's own pages are as before


def test_admin_is_out_of_routes_reach(get, backend):
    assert get("/manage/").one("Location") == b"/manage/login/?next=/manage/"
    assert get("/manage/", "other.test").status == 400  # Django's: a host it does not know
    assert backend.seen.empty()


def test_body_cut_short_is_cut_short(get, backend):
    backend.script = backend.closes_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell")
    response = get("/parts")
    assert (response.status, response.body, response.cut) == (200, b"hell", True)


def test_repeated_fields_pass(get, backend):
    backend.script = backend.answers(
        OK.replace(b"OK", b"OK\r\nSet-Cookie: a\r\nSet-Cookie: b", 1)
    )
    assert get("/parts").all("Set-Cookie") == [b"a", b"b"]
