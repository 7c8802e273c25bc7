"""`manage.py gateway`: what it takes, and what it refuses with one line."""

import os
import ssl
import subprocess
import sys

import pytest

from tests import services
from tests.conformance.backends import Backend
from tests.gateway import certs, process
from tests.services import eventually


@pytest.fixture(scope="module")
def backend():
    made = Backend()
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(backend, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    process.publish(folder, process.document(backend.port))
    return folder


@pytest.fixture
def start(folder, backend, tmp_path):
    started = []

    def start(*arguments, **variables):
        started.append(process.Running(folder, tmp_path / "log", *arguments, **variables))
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()
    backend.reset()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    certs.put(folder / "site.pem", "site.test")
    return folder


@pytest.fixture
def refused(folder):
    """refused(*arguments, **environment) -> the one line that a start ends with."""

    def refused(*arguments, **variables):
        ended = subprocess.run(
            [sys.executable, "manage.py", "gateway", *arguments],
            env=process.environment(folder, **variables),
            cwd=process.ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2, ended.stderr
        assert ended.stdout == ""
        (line,) = ended.stderr.splitlines()
        return line

    return refused


# --- what is refused ---------------------------------------------------------------------


def test_an_address_in_use_is_refused_and_no_other_is_listened_on(refused, tmp_path):
    path = tmp_path / "socket"
    with services.socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = refused("--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}")
    assert f"cannot listen on 127.0.0.1:{port} (address already in use)" in line
    assert line.endswith("give another with --bind")
    assert not path.exists()


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "8.8.8.8"])
def test_the_status_is_not_told_in_public(refused, address):
    line = refused("--bind", "127.0.0.1:0", "--status-bind", f"{address}:0")
    assert "--status-bind" in line


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--bind", "8080"], {}, "cannot listen on 8080 (not ADDRESS:PORT)"),
        (["--tls-bind", "127.0.0.1:0"], {}, "--tls-bind wants certificates"),
        (
            ["--tls-bind", "127.0.0.1:0", "--certificates", "/nowhere"],
            {},
            "/nowhere",
        ),
        (["--proxy-protocol"], {}, "name their networks in TRUSTED_PROXIES"),
        (["--workers", "0"], {}, "--workers 0 is not a number of 1 to 1024"),
        (["--access-log", "/nowhere/log"], {}, "/nowhere/log cannot be opened"),
        (["--access-log-format", "common"], {}, "--access-log-format is 'common'"),
        ([], {"MAX_CONNECTIONS": "0"}, "MAX_CONNECTIONS"),
    ],
)
def test_what_cannot_be_meant_is_one_line(refused, arguments, variables, said):
    assert said in refused(*arguments, **variables)


# --- what is served ----------------------------------------------------------------------


@services.needs_ipv6
def test_every_address_is_served(start, tmp_path):
    path, port = tmp_path / "socket", services.free_port()
    gateway = start("--bind", f"unix:{path}", "--bind", f"[::1]:{port}")
    gateway.ready()
    for address in (gateway.address, str(path), ("::1", port)):
        with process.Client(address) as client:
            assert client.get()[0] == 200


def test_a_client_of_ipv4_is_told_as_one_by_a_socket_of_both(start, backend):
    gateway = start(bind="[::]:0")
    gateway.ready()
    _, port = gateway.address
    with process.Client(("127.0.0.1", port)) as client:
        assert client.get()[0] == 200
    assert backend.got().one("X-Forwarded-For") == b"127.0.0.1"


def test_tls_ends_here(start, backend, certificates):
    gateway = start("--tls-bind", "127.0.0.1:0", "--certificates", str(certificates), bind="")
    gateway.ready()
    trusting = ssl.create_default_context(cafile=str(certificates / "site.pem"))
    with process.Client(gateway.address, trusting) as client:
        assert client.get()[0] == 200
    assert backend.got().one("X-Forwarded-Proto") == b"https"


@pytest.mark.parametrize("tls", [False, True])
def test_the_proxy_protocol_tells_who_the_client_is(start, backend, certificates, tls):
    bind, context = ["--bind", "127.0.0.1:0"], None
    if tls:
        bind = ["--tls-bind", "127.0.0.1:0", "--certificates", str(certificates)]
        context = ssl.create_default_context(cafile=str(certificates / "site.pem"))
    gateway = start("--proxy-protocol", *bind, bind="", TRUSTED_PROXIES="127.0.0.1")
    gateway.ready()
    first = b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\r\n"
    with process.Client(gateway.address, context, first) as client:
        assert client.get()[0] == 200
    assert backend.got().one("X-Forwarded-For") == b"203.0.113.9"


def test_the_status_is_told_of_all_workers(start):
    port = services.free_port()
    gateway = start("--status-bind", f"127.0.0.1:{port}", "--workers", "2")
    gateway.ready(2)
    for path in ("/-/healthz", "/-/readyz", "/-/status"):
        with process.Client(("127.0.0.1", port), host="localhost") as client:
            status, _, body = client.get(path, close=True)
            assert status == 200
    assert all(str(pid).encode() in body for pid in gateway.workers())


def test_the_public_is_not_told_the_status(start, backend):
    """It goes by the routes, as any other path does."""
    gateway = start()
    gateway.ready()
    assert gateway.get("/-/status")[2] == b"ok"
    assert backend.got().target == b"/-/status"


def test_lines_of_the_access_log_go_to_the_output(start):
    gateway = start("--access-log", "-", "--access-log-format", "json")
    gateway.ready()
    gateway.get("/logged")
    eventually(lambda: '"target":"/logged"' in gateway.output)


def test_the_environment_says_it_too(start, certificates, tmp_path):
    file = tmp_path / "access.log"
    gateway = start(
        "--tls-bind",
        "127.0.0.1:0",
        bind="",
        CERTIFICATES=str(certificates),
        ACCESS_LOG=str(file),
    )
    gateway.ready()
    trusting = ssl.create_default_context(cafile=str(certificates / "site.pem"))
    with process.Client(gateway.address, trusting) as client:
        assert client.get()[0] == 200
    eventually(lambda: os.path.getsize(file))
