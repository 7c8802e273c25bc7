"""One server a plane for the whole suite; backends as new for each test."""

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.client import Client, Response
from tests.conformance.planes import CANNOT, PLANES, Plane
from tests.conformance.site import Site


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rule(*names): the rules of docs/wire.md it shows")


@pytest.fixture(scope="session", params=PLANES, ids=lambda plane: plane.name)
def plane(request: pytest.FixtureRequest) -> Plane:
    made: Plane = request.param()
    return made


@pytest.fixture(scope="session")
def served(
    plane: Plane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, tuple[str, int]]]:
    folder = tmp_path_factory.mktemp(plane.name)
    site = Site(folder)
    address = plane.start(site.document(), folder)
    yield site, address
    plane.stop()
    for backend in site.backends:
        backend.close()


@pytest.fixture(autouse=True)
def cannot(plane: Plane, request: pytest.FixtureRequest) -> None:
    """Expects the failure of what this plane can't meet: it must fail, or the table lies."""
    name = request.node.originalname
    if reason := CANNOT[plane.name].get(name):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture
def site(served: tuple[Site, tuple[str, int]]) -> Iterator[Site]:
    site = served[0]
    for backend in site.backends:
        backend.reset()
    yield site
    for backend in site.backends:
        assert backend.errors == []


@pytest.fixture
def connect(served: tuple[Site, tuple[str, int]]) -> Iterator[Callable[..., Client]]:
    """Makes clients, which are closed when the test ends."""
    made: list[Client] = []

    def connect(source: str = "127.0.0.1") -> Client:
        made.append(Client(served[1], source))
        return made[-1]

    yield connect
    for client in made:
        client.sock.close()


@pytest.fixture
def get(connect: Callable[..., Client]) -> Callable[..., Response]:
    """Sends one request on a new connection and returns the answer."""

    def get(
        target: str = "/",
        *fields: str,
        host: str = "plain.test",
        method: str = "GET",
        body: bytes = b"",
        source: str = "127.0.0.1",
    ) -> Response:
        client = connect(source)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return client.response(method)

    return get
