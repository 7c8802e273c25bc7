"""Backends that leave, and those that are ejected, as an operator sees them from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults import PATIENCE_S
from tests.faults.gateway import ROOT, Gateway, environment
from tests.faults.load import Load
from tests.faults.publishing import Publisher
from tests.faults.site import pool
from tests.faults.test_tunnels import UPGRADE
from tests.services import eventually

LONG = {"base_ejection_s": 60.0}
HELD = b"GET /held HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n"


class Manage:
    """manage.py on the data folder of the gateway."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._environment = variables

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", "manage.py", *words],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.start("health", "status", "--json").communicate()[0]
        )
        return found

    def backend(self, key: str) -> dict[str, Any]:
        pools = self.health()["pools"]
        (found,) = [each for pool in pools for each in pool["backends"] if each["key"] == key]
        return dict(found)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leaving")


@pytest.fixture(scope="module")
def manage(place: Path) -> Manage:
    return Manage(environment(place))


@pytest.fixture
def gateway(place, made, site) -> Iterator[Gateway]:
    """Of two workers, with a configuration that no test before has changed."""
    publisher = Publisher(environment(place))
    publisher.publish(made.document(pools=[pool("killed", made.ports, passive=LONG)]))
    publisher.close()
    gateway = Gateway(place, environment(place), workers=2)
    yield gateway
    site.well()
    gateway.stop()


@contextmanager
def connected(gateway: Gateway, first: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(gateway.address, PATIENCE_S) as sock:
        sock.sendall(first)
        yield sock


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    said, _ = process.communicate(timeout=4 * PATIENCE_S)
    return process.returncode, said.splitlines()


def test_a_drain_waits_for_requests_and_tunnels(gateway, site, manage):
    """And tells of them meanwhile; who stops the backend then hurts nobody."""
    ash = site.backends[0]
    key = f"first/127.0.0.1:{ash.port}"
    ash.hold()
    with (
        connected(gateway, UPGRADE.replace(b"steady", b"first")) as tunnel,
        connected(gateway, HELD) as request,
    ):
        assert b" 101 " in tunnel.recv(1024)
        eventually(lambda: ash.state()["held"] == 1, within_s=PATIENCE_S)
        drain = manage.start("backend", "drain", key, "--wait")
        eventually(
            lambda: manage.backend(key)["leaving"].startswith("1 request and 1 tunnel in f"),
            within_s=PATIENCE_S,
            saying="what is in flight",
        )
        (told,) = [one for one in gateway.status()["backends"] if one["key"] == key]
        assert (told["in_flight"], told["tunnels"], told["state"]) == (2, 1, "drain")
        ash.release()
        assert b" 200 OK" in request.recv(1024)
        eventually(
            lambda: manage.backend(key)["leaving"].startswith("1 tunnel in flight"),
            within_s=PATIENCE_S,
            saying="the tunnel that is left",
        )
        assert drain.poll() is None
        tunnel.sendall(b"still there")
        assert tunnel.recv(1024) == b"still there"
    code, said = ended(drain)
    assert code == 0, said
    assert said[-1] == f"{key} is safe to stop: nothing is in flight in 2 processes."
    assert manage.backend(key)["leaving"] == "safe to stop"


def test_a_drain_ends_in_time_with_what_is_left(gateway, site, manage):
    key = f"first/127.0.0.1:{site.backends[0].port}"
    with connected(gateway, UPGRADE.replace(b"steady", b"first")) as tunnel:
        assert b" 101 " in tunnel.recv(1024)
        code, said = ended(manage.start("backend", "maint", key, "--wait", "--timeout", "3"))
        assert code == 1
        assert said[-1].startswith("not in time: 1 tunnel in flight in gateway ")
        assert not ended(manage.start("backend", "ready", key, "--wait"))[0]


def test_ctrl_c_leaves_a_backend_draining(gateway, site, manage):
    key = f"first/127.0.0.1:{site.backends[0].port}"
    with connected(gateway, UPGRADE.replace(b"steady", b"first")) as tunnel:
        assert b" 101 " in tunnel.recv(1024)
        drain = manage.start("backend", "drain", key, "--wait")
        assert drain.stdout is not None
        assert "gets no new requests" in drain.stdout.readline()
        said = iter(drain.stdout.readline, "")
        assert any("1 tunnel in flight" in line for line in said)
        drain.send_signal(signal.SIGINT)
        code, said = ended(drain)
        assert code == 130
        assert f"interrupted: {key} stays in state drain" in said[-1]
    assert manage.backend(key)["state"] == "drain"


def test_a_worker_that_is_killed_is_waited_for_until_it_counts_as_gone(gateway, site, manage):
    ash = site.backends[0]
    key = f"first/127.0.0.1:{ash.port}"
    with connected(gateway, UPGRADE.replace(b"steady", b"first")) as tunnel:
        assert b" 101 " in tunnel.recv(1024)
        drain = manage.start("backend", "drain", key, "--wait")
        eventually(
            lambda: manage.backend(key)["in_flight"], within_s=PATIENCE_S, saying="the tunnel"
        )
        (flying,) = manage.backend(key)["in_flight"]
        os.kill(int(flying["process"].rpartition(":")[2]), signal.SIGKILL)
        code, said = ended(drain)
    assert code == 0
    assert any("stopped to tell of itself and counts as gone" in line for line in said)
    assert "is safe to stop" in said[-1]


def test_an_ejection_is_told_with_its_reason_and_time_left(gateway, site, manage):
    ash = site.backends[0]
    key = f"killed/127.0.0.1:{ash.port}"
    ash.kill()

    def told() -> list[dict[str, Any]]:
        with Load(gateway.address, host="killed.test", clients=2) as load:
            load.wait(20)
        return list(manage.backend(key)["ejected"])

    ejected = eventually(told, within_s=2 * PATIENCE_S, saying="an ejection")
    assert ejected[0]["process"].startswith("gateway ")
    assert ejected[0]["why"] == (
        "5 failed requests in a row, the last: cannot connect to the backend: "
        "connection refused"
    )


def test_the_status_page_tells_that_nobody_probes(gateway):
    """Neither beat nor a worker was ever started here."""
    probing = eventually(lambda: gateway.status()["probing"], within_s=PATIENCE_S)
    eventually(lambda: gateway.status()["probing"]["ok"] is False, within_s=PATIENCE_S)
    probing = gateway.status()["probing"]
    assert "no beat has told of itself; no worker has told of itself" in probing["why"]
