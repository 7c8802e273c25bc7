"""Database, Redis and the log's disk go away and come back: traffic goes on throughout."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import PATIENCE_S
from tests.faults.database import Database, database
from tests.faults.gateway import Gateway, environment
from tests.faults.load import Load, adds_up
from tests.faults.publishing import Publisher
from tests.services import Redis, eventually, gone


@pytest.fixture(scope="module")
def postgres() -> Iterator[Database]:
    with database() as found:
        yield found


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    found = Redis()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An access log on a disk that is full from the beginning."""
    log = tmp_path_factory.mktemp("full") / "access.log"
    log.symlink_to("/dev/full")
    return log


@pytest.fixture(scope="module")
def writer(tmp_path_factory, made, postgres, redis) -> Iterator[Publisher]:
    """Its revisions are those of `served`."""
    publisher = Publisher(_environment(tmp_path_factory.mktemp("writer"), postgres, redis))
    publisher.publish(made.document(moved="first"))
    yield publisher
    publisher.close()


@pytest.fixture(scope="module")
def gateway_there(tmp_path_factory, writer, postgres, redis, log) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("outages")
    variables = {"ACCESS_LOG": str(log), "ACCESS_LOG_FORMAT": "json"}
    gateway = Gateway(folder, _environment(folder, postgres, redis, **variables), workers=2)
    yield gateway
    gateway.stop()


def _environment(folder: Path, postgres: Database, redis: Redis, **more: str) -> dict[str, str]:
    return environment(folder, DATABASE_URL=postgres.url, REDIS_URL=redis.url, **more)


@pytest.fixture
def served(gateway_there, site) -> Iterator[Gateway]:
    yield gateway_there
    assert gateway_there.alive
    site.well()
    eventually(gateway_there.rests, within_s=PATIENCE_S, saying="rest")


@contextmanager
def traffic(gateway: Gateway, site) -> Iterator[Load]:
    """Load, of which all is served."""
    with Load(gateway.address, host="moved.test", clients=6) as load:
        load.wait(50)
        yield load
        load.wait(50)
    assert load.failed() == []
    adds_up(load, site.backends)


def test_traffic_goes_on_without_the_database(served, site, writer, postgres):
    """It is said once for each process; the first change after it is back is in force."""
    before = served.said("cannot look for changes")
    with traffic(served, site) as load:
        postgres.stop()
        eventually(
            lambda: served.said("cannot look for changes") == before + 2,
            within_s=PATIENCE_S,
            saying="each worker says it",
        )
        load.wait(300)
        assert served.said("cannot look for changes") == before + 2
        postgres.start()
        served.revision(writer.publish(site.document(moved="second")))
        load.wait(50, served_by="birch")


def test_workers_start_while_the_database_is_away(served, site, writer, postgres):
    """From the last good configuration; a reload then costs no more than at other times."""
    served.revision(writer.publish(site.document(moved="first")))
    postgres.stop()
    before = served.workers()
    with Load(served.address, host="moved.test", again=True) as load:
        served.send(signal.SIGHUP)
        eventually(
            lambda: all(map(gone, before)), within_s=2 * PATIENCE_S, saying="old workers end"
        )
        load.wait(100)
    assert load.failed("GET") == []
    assert load.statuses() <= {200, 0}
    assert {one.backend for one in load.outcomes if one.served} == {"ash"}
    postgres.start()
    served.revision(writer.publish(site.document(moved="second")))


def test_traffic_and_changes_go_on_without_redis(served, site, writer, redis):
    """Redis only wakes them: without it they look by themselves."""
    served.revision(writer.publish(site.document(moved="first")))
    with traffic(served, site) as load:
        redis.stop()
        load.wait(200)
        served.revision(writer.publish(site.document(moved="second")))
        load.wait(50, served_by="birch")
        redis.start()
        served.revision(writer.publish(site.document(moved="first")))
        load.wait(50, served_by="ash")


def test_traffic_goes_on_where_the_log_cannot_be_written(served, site, log):
    """Each worker says it once. On a file that is opened later the lines are whole again."""
    with traffic(served, site) as load:
        load.wait(200)
        eventually(
            lambda: served.said("No space left") >= 2,
            within_s=PATIENCE_S,
            saying=f"each worker says it, see {served.log}",
        )
        said = served.said("No space left")
        load.wait(200)
        assert served.said("No space left") == said
        log.unlink()
        log.touch()
        served.send(signal.SIGUSR1)
        load.wait(200)
        eventually(lambda: log.read_text().count("\n") > 50, within_s=PATIENCE_S)
    asked = {one.request_id for one in load.outcomes}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert 0 < len(lines) <= len(asked)
    assert {line["status"] for line in lines} == {200}
