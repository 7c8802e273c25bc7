"""Rows of processes: written by each, read by all, and the database's clock alone counts."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.utils import timezone

from pools.control import keep, processes
from pools.control.processes import GONE_AFTER_S, PULSE_S, Row, Teller
from pools.models import Process
from pools.models.process import ProcessKind
from tests.services import eventually

pytestmark = pytest.mark.django_db


def age(seconds: float, **rows: object) -> None:
    """Make rows older."""
    Process.objects.filter(**rows).update(seen_at=F("seen_at") - timedelta(seconds=seconds))


def written(kind: ProcessKind = ProcessKind.WEB, name: str = "a:1", **report: object) -> Row:
    row = Row(kind)
    row.name = name
    row.tell(report)
    return row


def test_a_row_is_by_host_and_pid_and_says_when_it_was_written():
    row = Row(ProcessKind.GATEWAY)
    row.tell({"revision": 3})
    (told,) = processes.read()
    assert told.name.endswith(f":{os.getpid()}")
    assert (told.kind, told.report) == (ProcessKind.GATEWAY, {"revision": 3})
    assert told.living and abs(told.age_s) < 5
    assert str(told) == f"gateway {told.name}"


def test_what_is_not_new_is_written_once_a_pulse(monkeypatch, django_assert_num_queries):
    now = 1_000.0
    monkeypatch.setattr(processes.time, "monotonic", lambda: now)
    row = written(revision=1)
    with django_assert_num_queries(0):
        row.tell({"revision": 1})
    age(60)
    now += PULSE_S
    row.tell({"revision": 1})
    assert processes.read()[0].living
    row.tell({"revision": 2})  # too soon for a change
    assert processes.read()[0].report == {"revision": 1}
    now += processes.TURN_S
    row.tell({"revision": 2})
    assert processes.read()[0].report == {"revision": 2}


def test_a_machine_whose_clock_is_off_looks_no_less_alive(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: pytest.fail("its own clock was asked"))
    written()
    assert [told.living for told in processes.read()] == [True]


@pytest.mark.parametrize(
    ("seconds", "lives"),
    [(GONE_AFTER_S - 2, True), (GONE_AFTER_S + 2, False), (-5, True), (-3600, False)],
)
def test_who_told_nothing_for_three_pulses_is_gone(seconds, lives):
    """And so is who told it before the database's clock was set back."""
    written()
    age(seconds)
    assert processes.read()[0].living is lives
    assert bool(processes.living()) is lives
    assert processes.living(ProcessKind.BEAT) == []


def test_a_row_that_was_removed_is_made_anew():
    row = written(revision=1)
    Process.objects.all().delete()
    row.write({"revision": 1})
    assert processes.read()[0].report == {"revision": 1}


def test_who_starts_with_the_name_of_one_that_died_begins_anew():
    """As a container does, which has the same host name and pid."""
    written(revision=1)
    before = Process.objects.get()
    age(600)
    Process.objects.update(started_at=F("started_at") - timedelta(seconds=600))
    written(revision=2)
    after = Process.objects.get()
    assert after.pk == before.pk
    assert after.started_at >= before.started_at


def test_who_ends_in_good_order_takes_its_row_along():
    row = written()
    written(name="b:2")
    written(name="c:3")
    age(60, name="c:3")  # says nothing of since when there is none
    row.withdraw()
    assert [told.name for told in processes.read()] == ["b:2"]
    Row(ProcessKind.WEB).withdraw()  # wrote none


def test_rows_of_the_long_gone_go_but_for_the_newest_of_a_kind():
    for name, hours in (("a:1", 5), ("a:2", 3), ("a:3", 4)):
        written(ProcessKind.WORKER, name)
        age(3600 * hours, name=name)
    written(ProcessKind.WEB, "a:4")
    age(60, name="a:4")
    keep.trim()
    assert [told.name for told in processes.read()] == ["a:4", "a:2"]
    keep.trim()
    assert len(processes.read()) == 2


@pytest.mark.django_db(transaction=True)
def test_the_database_s_absence_is_said_once_and_only_when_it_lasts(monkeypatch, caplog):
    caplog.set_level("INFO")
    now = 1_000.0
    monkeypatch.setattr(processes.time, "monotonic", lambda: now)
    row = written()

    def refuse(execute, sql, params, many, context):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        for _ in range(4):
            now += PULSE_S
            row.write({})
    row.write({})
    assert [record.getMessage() for record in caplog.records] == [
        "this web process cannot tell of itself: connection refused",
        "this web process tells of itself again",
    ]


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_written_is_said_and_raises_nothing(caplog):
    row = Row(ProcessKind.WORKER)
    row.write({"figures": object()})
    assert "this worker process cannot tell of itself" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_locked_database_holds_nobody_up(settings):
    row = written(revision=1)
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        row.write({"revision": 2})
        assert time.monotonic() - begun < 5  # Django's time-out for it is 10
    finally:
        other.close()
    row.write({"revision": 3})
    assert processes.read()[0].report == {"revision": 3}
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA busy_timeout").fetchone()[0] == 10_000


# --- with a thread -------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_teller_tells_of_changes_soon_and_withdraws():
    report = {"broker": ""}
    teller = Teller(ProcessKind.BEAT, lambda: dict(report))
    teller.start()

    def told() -> object:
        found = processes.living(ProcessKind.BEAT)
        return found[0].report if found else None

    eventually(lambda: told() == {"broker": ""})
    report["broker"] = "connection refused"
    teller.changed()
    eventually(lambda: told() == report, within_s=PULSE_S - 1)
    teller.stop()
    assert processes.read() == []
    assert not [thread for thread in threading.enumerate() if thread.name == "tell-beat"]


@pytest.mark.django_db(transaction=True)
def test_a_report_that_fails_ends_no_teller(caplog):
    ways = iter([ZeroDivisionError, None])

    def report() -> dict[str, object]:
        error = next(ways, None)
        if error:
            raise error
        return {}

    teller = Teller(ProcessKind.WORKER, report)
    teller.start()
    eventually(lambda: "telling of this worker" in caplog.text)
    teller.changed()
    eventually(processes.living)
    teller.stop()
