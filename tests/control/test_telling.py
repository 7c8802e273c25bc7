"""What a process that carries traffic tells from its watcher's thread."""

from __future__ import annotations

import logging
import os
import time
from random import Random

import pytest
from django.db import OperationalError, connection

from pools.control import processes, publish, reports, watch
from pools.control.apply import apply
from pools.control.telling import Telling
from pools.core import codec
from pools.core.engine import Engine
from pools.models import Backend, Process
from pools.models.process import ProcessKind
from tests.services import eventually

pytestmark = pytest.mark.django_db

SITE = {"pools": [{"name": "web", "backends": [{"host": "a", "port": 1}]}]}


@pytest.fixture
def engine() -> Engine:
    return Engine(clock=time.monotonic, random=Random(1))


def test_a_turn_tells_of_the_process_and_hears_of_those_that_probe(
    engine, django_assert_num_queries
):
    told = Telling(ProcessKind.GATEWAY, lambda: [])
    assert told.probing["ok"] is None
    told.turn(engine, database=True)
    (row,) = processes.read()
    assert row.report == {
        "revision": 0,
        "ejected": {},
        "panic": [],
        "leaving": {},
        "certificates": [],
    }
    assert told.probing["ok"] is False
    assert "no worker has told of itself" in told.probing["why"]
    with django_assert_num_queries(0):
        told.turn(engine, database=True)
    told.end()
    assert processes.read() == []


def test_without_the_database_nothing_is_known_of_who_probes(engine):
    told = Telling(ProcessKind.WEB)
    told.turn(engine, database=True)
    told.turn(engine, database=False)
    assert (told.probing["ok"], "database is away" in told.probing["why"]) == (None, True)


def test_trouble_is_said_once_and_raises_nothing(engine, caplog):
    caplog.set_level(logging.INFO)
    told = Telling(ProcessKind.GATEWAY, lambda: 1 // 0)
    told.turn(engine, database=True)
    told.turn(engine, database=True)
    assert len(caplog.records) == 1


def test_the_database_may_go_in_the_middle_of_it(engine, caplog):
    told = Telling(ProcessKind.WEB)

    def refuse(execute, sql, params, many, context):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        told.turn(engine, database=True)
    assert caplog.records == []


# --- with the watcher ------------------------------------------------------------------


@pytest.fixture
def watched(settings, monkeypatch):
    """A process that looks for changes once in a minute, and is woken for none."""
    settings.POOLS_POLL_INTERVAL_S = 60
    settings.POOLS_DATA_DIR = None
    monkeypatch.setattr(watch, "_telling_as", (ProcessKind.WEB, None, ()))
    yield
    watch.stop()


@pytest.mark.django_db(transaction=True)
def test_a_watched_process_has_a_row_until_it_ends(watched):
    ends = [{"name": "a", "until": "2027-01-01T00:00:00Z"}]
    watch.tell_as(ProcessKind.GATEWAY, lambda: ends, ["http://0.0.0.0:8080"])
    with publish.change(who="test"):
        apply(codec.parse(SITE))
    watch.engine()
    (told,) = eventually(processes.living)
    assert str(told) == f"gateway {processes.own_name()}"
    assert told.report["revision"] == 1
    assert told.report["certificates"][0]["name"] == "a"
    assert reports.listens([told]) == ["http://0.0.0.0:8080"]
    eventually(lambda: watch.probing()["ok"] is False)
    watch.stop()
    assert processes.read() == []


@pytest.mark.django_db(transaction=True)
def test_what_changes_in_a_process_is_told_however_seldom_it_looks(watched):
    with publish.change(who="test"):
        apply(codec.parse({**SITE, "routes": [{"name": "all", "pool": "web"}]}))
    engine = watch.engine()
    eventually(processes.living)
    watch._watcher._woken.set()
    with publish.change(who="test"):
        Backend.objects.update(state="drain")
    state = engine._pools["web"].backends["web/a:1"]
    state.in_flight = 2

    def told():
        watch._watcher._woken.set()
        return processes.read()[0].report["leaving"]

    assert eventually(told) == {"web/a:1": {"requests": 2, "tunnels": 0}}
    state.in_flight = 0
    eventually(lambda: not processes.read()[0].report["leaving"])


@pytest.mark.django_db(transaction=True)
def test_a_forked_child_has_a_row_of_its_own(watched):
    watch.engine()
    eventually(processes.living)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            watch.engine()
            eventually(lambda: Process.objects.count() == 2)
            watch.stop()
            os.write(writing, b"told")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "told"
    os.waitpid(child, 0)
    assert [told.name for told in processes.read()] == [processes.own_name()]
