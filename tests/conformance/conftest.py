"""One server a plane for the whole suite; backends as new for each test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.client import Address, Client, Response
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
    cannot = CANNOT[plane.name]
    case = request.node.name.replace(f"[{plane.name}-", "[")
    if reason := cannot.get(request.node.originalname) or cannot.get(case):
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

    def connect(source: str = "127.0.0.1", address: Address = served[1]) -> Client:
        made.append(Client(address, source))
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
        method: str = "GET",
        source: str = "127.0.0.1",
        **more: Any,
    ) -> Response:
        client = connect(source)
        client.ask(target, *fields, method=method, **more)
        return client.response(method)

    return get
