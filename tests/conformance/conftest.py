"""One server a plane for the whole suite; backends as new for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.client import Address, Client, Response
from tests.conformance.planes import CANNOT, ELSEWHERE, PLANES, Plane
from tests.conformance.site import Site
from tests.gateway import certs
from tests.services import NO_IPV6, free_port

Once = Callable[[str, Callable[[ExitStack], Any]], Any]

LIMIT_S = 1.0
CONNECTIONS = 6
CONNECTIONS_PER_CLIENT = 4


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rule(*names): the rules of docs/wire.md it shows")


@pytest.fixture(scope="session")
def once() -> Iterator[Once]:
    """once(name, make) gives what make(stack) gave when the name was first asked for, until
    the session ends. pytest would begin each plane anew with each module, and starting a
    server takes longer than most modules do."""
    made: dict[str, Any] = {}
    with ExitStack() as stack:

        def once(name: str, make: Callable[[ExitStack], Any]) -> Any:
            if name not in made:
                made[name] = make(stack)
            return made[name]

        yield once


@pytest.fixture(scope="session", params=PLANES, ids=lambda plane: plane.name)
def plane(request: pytest.FixtureRequest, once: Once) -> Plane:
    kind = request.param
    made: Plane = once(kind.name, lambda stack: kind())
    return made


@pytest.fixture(scope="session")
def served(
    plane: Plane, once: Once, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Site, tuple[str, int]]:
    def start(stack: ExitStack) -> tuple[Site, tuple[str, int]]:
        folder = tmp_path_factory.mktemp(plane.name)
        site = Site(folder)
        for backend in site.backends:
            stack.callback(backend.close)
        stack.callback(plane.stop)
        return site, plane.start(site.document(), folder)

    found: tuple[Site, tuple[str, int]] = once(f"{plane.name} served", start)
    return found


def _unless_elsewhere(plane: Plane, what: str) -> None:
    if reason := ELSEWHERE[plane.name].get(what):
        pytest.skip(reason)


def _serve(once: Once, plane: Plane, what: str, *arguments: str, **more: str) -> Address:
    _unless_elsewhere(plane, what)
    found: Address = once(f"{plane.name} {what}", lambda _: plane.serve(*arguments, **more))
    return found


@pytest.fixture(scope="session")
def limited(plane: Plane, served: object, once: Once) -> Address:
    """The address of a server that waits for clients for LIMIT_S, whatever it is for."""
    return _serve(
        once,
        plane,
        "limited",
        CLIENT_HEADER_TIMEOUT=str(LIMIT_S),
        CLIENT_BODY_TIMEOUT=str(LIMIT_S),
        CLIENT_KEEPALIVE=str(LIMIT_S),
        CLIENT_SEND_TIMEOUT=str(LIMIT_S),
        MAX_CONNECTIONS_PER_CLIENT=str(CONNECTIONS_PER_CLIENT),
    )


@pytest.fixture(scope="session")
def crowded(plane: Plane, served: object, once: Once) -> Address:
    """The address of a server that takes few connections."""
    return _serve(once, plane, "crowded", MAX_CONNECTIONS=str(CONNECTIONS))


@dataclass(frozen=True)
class Doors:
    """Where a server is reached, by `ipv6` only where that is there; `certificates` is the
    folder of its certificates."""

    unix: str
    ipv6: tuple[str, int]
    tls: tuple[str, int]
    certificates: Path


@pytest.fixture(scope="session")
def doors(
    plane: Plane, served: object, once: Once, tmp_path_factory: pytest.TempPathFactory
) -> Doors:
    _unless_elsewhere(plane, "doors")
    doors: Doors = once(
        f"{plane.name} doors", lambda _: _doors(plane, tmp_path_factory.mktemp("doors"))
    )
    return doors


def _doors(plane: Plane, folder: Path) -> Doors:
    doors = Doors(
        unix=str(folder / "http.sock"),
        ipv6=("::1", free_port()),
        tls=("127.0.0.1", free_port()),
        certificates=folder,
    )
    certs.put(folder / "default.pem", "default.test")
    certs.put(folder / "named.pem", "plain.test", "*.wild.test")
    plane.serve(
        *("--bind", f"unix:{doors.unix}"),
        *(() if NO_IPV6 else ("--bind", f"[::1]:{doors.ipv6[1]}")),
        *("--tls-bind", f"127.0.0.1:{doors.tls[1]}"),
        *("--certificates", str(folder)),
    )
    return doors


@pytest.fixture(scope="session")
def told(plane: Plane, served: object, once: Once) -> Address:
    """The address of a server that trusted peers tell by the PROXY protocol who asks."""
    return _serve(once, plane, "told", "--proxy-protocol")


@pytest.fixture(autouse=True)
def cannot(
    plane: Plane, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expects the failure of what this plane can't meet: it must fail, or the table lies."""
    cannot = CANNOT[plane.name]
    case = request.node.name.replace(f"[{plane.name}-", "[")
    if reason := cannot.get(request.node.originalname) or cannot.get(case):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
        monkeypatch.setattr(
            "tests.conformance.client.PATIENCE_S", 2.0
        )  # it is not worth waiting for


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
