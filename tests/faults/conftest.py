"""Three backends and one gateway for the suite; each test ends with all of them well."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import PATIENCE_S
from tests.faults.gateway import Gateway, environment, resident_kb
from tests.faults.oracle import Oracle
from tests.faults.publishing import Publisher
from tests.faults.site import Site
from tests.services import eventually

MANY = 65_536
GROWTH_KB = 30_000  # of thousands of clients and a gigabyte of bodies; generous

# Clients that give the gateway nothing to do are given up soon.
IMPATIENT = {"CLIENT_HEADER_TIMEOUT": "2", "CLIENT_BODY_TIMEOUT": "2"}


@pytest.fixture(scope="session", autouse=True)
def descriptors() -> None:
    """As many as the system lets us have, for us and the gateway: each client takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    oracle = Oracle()
    yield oracle
    oracle.close()


@pytest.fixture(scope="session")
def made(folder: Path, oracle: Oracle) -> Iterator[Site]:
    site = Site(folder, oracle=oracle.port)
    yield site
    site.close()


@pytest.fixture
def site(made: Site) -> Iterator[Site]:
    yield made
    made.well()


@pytest.fixture(scope="session")
def publisher(folder: Path, made: Site) -> Iterator[Publisher]:
    publisher = Publisher(environment(folder))
    publisher.publish(made.document())
    yield publisher
    publisher.close()


@pytest.fixture(scope="session")
def started(folder: Path, publisher: Publisher) -> Iterator[Gateway]:
    """It has used less than GROWTH_KB more when all is over, whatever was done to it."""
    gateway = Gateway(folder, environment(folder, **IMPATIENT))
    before = resident_kb(gateway.workers())
    yield gateway
    grown = resident_kb(gateway.workers()) - before
    gateway.stop()
    assert grown < GROWTH_KB


@pytest.fixture
def gateway(started: Gateway, site: Site) -> Iterator[Gateway]:
    """The suite's gateway, of one worker. Afterwards it is the same one, and at rest."""
    workers = started.workers()
    yield started
    assert started.alive
    site.well()
    eventually(started.rests, within_s=PATIENCE_S, saying=f"rest, {started.status()}")
    assert started.workers() == workers
