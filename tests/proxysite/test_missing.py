"""What is missing is told as what it is, with real processes that are killed and servers
that are stopped: nothing else is reported missing for it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pools.serve import plan
from tests import services
from tests.faults.database import Database, database
from tests.faults.gateway import ROOT, Gateway, environment
from tests.proxysite.asking import Asker
from tests.services import eventually

PATIENCE_S = 60.0
LOOK_S = 0.3  # between two looks
ALL = {"database", "broker", "beat", "worker", "gateway", "web"}


class Site:
    """All parts of a proxy, as processes and servers of their own."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database
        self.redis = services.Redis()
        self.environment = environment(
            folder, DATABASE_URL=database.url, REDIS_URL=self.redis.url
        )
        self.manage("migrate", "-v0")
        self._asker = Asker(self.environment)
        self.programs = {program.name: program for program in plan.celery()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in self.programs:
            self.start(name)
        self.gateway = Gateway(folder, self.environment)

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.programs[name].argv, env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    def end(self, name: str, how: signal.Signals) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(30)

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def status(self) -> dict[str, bool | None]:
        """What is there and what is not, by name; the exit code says the same."""
        code, told = self._asker.ask()
        parts = {part["name"]: part["ok"] for part in told}
        assert code == (1 if False in parts.values() else 0), told
        return parts

    def by_hand(self) -> dict[str, bool | None]:
        """The same by a command of its own, which has no traceback whatever is missing."""
        ran = self.manage("health", "status", "--json")
        assert "Traceback" not in ran.stderr, ran.stderr
        parts = {part["name"]: part["ok"] for part in json.loads(ran.stdout)["components"]}
        assert ran.returncode == (1 if False in parts.values() else 0), ran.stdout
        return parts

    def says(self, name: str) -> str:
        return next(part["says"] for part in self._asker.ask()[1] if part["name"] == name)

    def all_there(self) -> bool:
        parts = self.status()
        return set(parts) == ALL and all(parts.values())

    def close(self) -> None:
        self.gateway.stop()
        for name in tuple(self.processes):
            self.end(name, signal.SIGKILL)
        self._asker.close()
        self.redis.stop()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with database() as server:
        site = Site(tmp_path_factory.mktemp("missing"), server)
        yield site
        site.close()


@pytest.fixture
def site(made: Site) -> Site:
    eventually(made.all_there, within_s=PATIENCE_S, saying=f"all, {made.status()}")
    return made


def alone_missing(site: Site, name: str, *, until: Callable[[], bool] | None = None) -> None:
    """Waits until this part is missing; no other ever is."""

    def missing() -> bool:
        time.sleep(LOOK_S)
        parts = site.status()
        assert {part for part, ok in parts.items() if ok is False} <= {name}, parts
        return parts[name] is False and (until is None or until())

    eventually(missing, within_s=PATIENCE_S, saying=f"{name} is missing")
    assert site.by_hand()[name] is False


@pytest.mark.parametrize("name", ["beat", "worker"])
def test_who_was_killed_is_missing_and_nobody_else(site, name):
    site.end(name, signal.SIGKILL)
    alone_missing(site, name)
    assert f"no {name} has told of itself for " in site.says(name)
    probing = eventually(
        lambda: not (told := site.gateway.status()["probing"])["ok"] and told,
        within_s=PATIENCE_S,
        saying="the status page knows it, too",
    )
    assert f"no {name} has told of itself" in probing["why"]
    site.start(name)


def test_who_ends_in_good_order_is_missing_at_once(site):
    site.end("beat", signal.SIGTERM)
    site.end("worker", signal.SIGTERM)
    parts = site.status()
    assert (parts["beat"], parts["worker"], parts["broker"]) == (False, False, True)
    assert site.says("worker") == "no worker has told of itself"
    site.start("beat")
    site.start("worker")


def test_a_broker_that_was_stopped_is_missing_and_nobody_else(site):
    """Beat and worker live, and say that they have none, for as long as it lasts."""
    site.redis.stop()
    alone_missing(
        site,
        "broker",
        until=lambda: "beat " in site.says("broker") and "worker " in site.says("broker"),
    )
    site.redis.start()


def test_a_worker_that_starts_without_a_broker_is_not_missing(site):
    site.end("worker", signal.SIGTERM)
    site.redis.stop()
    site.start("worker")

    def there() -> bool:
        parts = site.status()
        return parts["broker"] is False and parts["worker"] is True

    eventually(there, within_s=PATIENCE_S, saying="a worker without a broker")
    site.redis.start()


def test_a_database_that_was_stopped_is_missing_and_what_can_be_told_is(site):
    site.database.stop()
    parts = site.by_hand()
    assert parts["database"] is False
    assert (parts["broker"], parts["beat"], parts["worker"]) == (True, True, True)
    assert parts["gateway"] is None
    eventually(
        lambda: site.gateway.status()["probing"]["ok"] is None,
        within_s=PATIENCE_S,
        saying="the status page knows that it does not know",
    )
    site.database.start()
    eventually(site.all_there, within_s=PATIENCE_S, saying="all tell of themselves again")


def test_a_gateway_that_ended_is_missing_at_once(site):
    site.gateway.stop()
    alone_missing(site, "gateway")
    site.gateway = Gateway(site.folder, site.environment)
