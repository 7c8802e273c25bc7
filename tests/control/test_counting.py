"""What a process carries, from its counters to its rows; time passes when a test says so."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from pools.control import buckets, counting, figures, ledger
from pools.control.buckets import FINE_S, HOUR_S, MINUTES_S, WHOLE
from pools.control.counting import Counting, Source
from pools.models import TrafficBucket, TrafficNow
from tests.control.counted import BEGIN, Process, go_on

pytestmark = pytest.mark.django_db


@contextmanager
def database_away(statements=""):
    def refuse(execute, sql, params, many, context):
        if statements in sql:
            raise OperationalError("connection refused")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


def requests(width_s, *, backend="web/a:80"):
    """Of the spans that have any, by where they begin, from BEGIN on."""
    found: dict[int, int] = {}
    name = f"backend:{backend}"
    rows = TrafficBucket.objects.filter(width_s=width_s, part=buckets.part_of(name))
    for row in rows:
        sums = buckets.find(row.packed, name)
        if sums is not None:
            at = row.begins_at - int(BEGIN.timestamp())
            found[at] = found.get(at, 0) + sums.requests
    return found


# --- spans ---------------------------------------------------------------------------------


def test_a_span_is_written_when_it_is_over(process, time):
    process.carries(2)
    time.passes(9.9)
    process.turn()
    assert requests(FINE_S) == {}
    time.passes(0.5)
    process.turn()
    assert requests(FINE_S) == {0: 2}


def test_spans_lie_on_the_clock_whenever_a_process_began(time):
    time.passes(7)
    process = Process(time)
    process.turn()
    go_on(process, time, 20, step_s=0.5)
    assert list(requests(FINE_S)) == [0, 10]
    counting.count_from(None)


def test_nothing_is_asked_of_the_database_between_two_looks(
    process, time, django_assert_num_queries
):
    time.passes(1)
    with django_assert_num_queries(0):
        process.turn()


def test_a_process_that_carried_nothing_says_that_it_was_there(process, time):
    time.passes(10)
    process.turn()
    assert set(TrafficBucket.objects.values_list("part", flat=True)) == {WHOLE}


def test_wide_spans_are_written_each_minute_and_replace_what_was_written(process, time):
    go_on(process, time, 60)
    assert requests(MINUTES_S) == requests(HOUR_S) == {0: 6}
    rows = TrafficBucket.objects.filter(width_s=HOUR_S).count()
    go_on(process, time, 60)
    assert requests(MINUTES_S) == requests(HOUR_S) == {0: 12}
    assert TrafficBucket.objects.filter(width_s=HOUR_S).count() == rows
    go_on(process, time, 540)
    assert requests(MINUTES_S) == {0: 60, 600: 6}
    assert requests(HOUR_S) == {0: 66}


def test_a_look_that_is_late_counts_where_most_of_its_time_lies(process, time):
    process.carries()
    time.passes(13)
    process.turn()
    process.carries(5)
    time.passes(7)
    process.turn()
    assert requests(FINE_S) == {0: 1, 10: 5}


def test_who_ends_in_good_order_writes_what_it_has(process, time):
    go_on(process, time, 10)
    process.carries(3)
    time.passes(4)
    process.end()
    assert requests(FINE_S) == {0: 1, 10: 3}
    assert requests(HOUR_S) == {0: 4}
    assert not TrafficNow.objects.exists()


def test_who_is_killed_takes_along_what_came_since_its_last_look(process, time):
    go_on(process, time, 60)
    process.carries(100)
    time.passes(9)
    counting.count_from(None)
    assert sum(requests(FINE_S).values()) == 6
    assert requests(HOUR_S) == {0: 6}


def test_processes_of_one_time_add_up(process, time):
    other = Process(time)
    other.turn()
    process.carries(1)
    other.carries(2)
    time.passes(10)
    process.turn()
    other.turn()
    assert requests(FINE_S) == {0: 3}
    assert TrafficNow.objects.count() == 2


def test_a_worker_that_restarts_counts_on(process, time):
    go_on(process, time, 10)
    process.end()
    again = Process(time)
    again.turn()
    go_on(again, time, 10)
    assert requests(HOUR_S) == {0: 1}
    again.end()
    assert requests(HOUR_S) == {0: 2}


def test_another_watcher_of_the_process_writes_nothing_twice(process, time):
    go_on(process, time, 10)
    process.end()
    counting.count_from(process._source)
    process.counting = Counting(pause=bool)
    process.turn()
    go_on(process, time, 10)
    assert requests(FINE_S) == {0: 1, 10: 1}


def test_counters_that_come_late_are_counted_from_their_beginning(time):
    process = Process(time)
    process.counting.turn(process.engine, database=True)
    time.passes(3600)
    process.carries(4)
    process.turn()
    time.passes(10)
    process.turn()
    assert requests(FINE_S) == {3600: 4}
    counting.count_from(None)


# --- trouble -------------------------------------------------------------------------------


def test_without_the_database_it_adds_up_and_writes_it_later(process, time, caplog):
    for _ in range(60):
        process.carries()
        time.passes(10)
        process.turn(database=False)
    assert requests(FINE_S) == {}
    go_on(process, time, 10)
    assert requests(FINE_S) == dict.fromkeys(range(0, 610, 10), 1)
    assert requests(MINUTES_S) == {0: 60, 600: 1}
    assert caplog.records == []


def test_what_waits_for_the_database_is_bounded(process, time):
    for _ in range(200):
        process.carries()
        time.passes(10)
        process.turn(database=False)
    go_on(process, time, 10)
    found = requests(FINE_S)
    assert len(found) == ledger.WAITING[FINE_S]
    assert max(found) == 2000
    assert sum(requests(HOUR_S).values()) == 201


def test_a_process_that_begins_without_the_database_tells_what_came_before_it(time):
    process = Process(time)
    for _ in range(3):
        process.carries()
        process.turn(database=False)
        time.passes(10)
    process.turn()
    time.passes(10)
    process.turn()
    assert sum(requests(FINE_S).values()) == 3
    counting.count_from(None)


@pytest.mark.parametrize("statement", ["INSERT", "DELETE"])
def test_what_fails_in_the_middle_of_writing_is_written_once(process, time, statement):
    go_on(process, time, 70)
    process.carries(5)
    with database_away(statement):
        time.passes(60)
        process.turn()
    time.passes(0.5)
    process.turn()  # not at once
    assert sum(requests(FINE_S).values()) == 7
    time.passes(1)
    process.turn()
    assert sum(requests(FINE_S).values()) == sum(requests(HOUR_S).values()) == 12


def test_the_last_words_of_a_process_hold_up_nobody(process, time):
    process.carries()
    with database_away():
        process.end()
    assert requests(FINE_S) == {}


def test_trouble_that_lasts_is_said_once(process, time, caplog):
    caplog.set_level(logging.INFO)
    with database_away("INSERT"):
        go_on(process, time, 120, step_s=5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    time.passes(2)
    process.turn()
    assert "written down again" in caplog.text


def test_trouble_of_ours_is_said_and_raises_nothing(process, time, caplog, monkeypatch):
    monkeypatch.setattr(process, "_source", Source(process.counters, lambda: 1 // 0))
    process.turn()
    time.passes(10)
    process.turn()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_set_moves_what_comes_and_loses_nothing(process, time, hours):
    go_on(process, time, 30)
    time.wall += timedelta(hours=hours)
    go_on(process, time, 30)
    process.end()
    jump = hours * 3600
    assert requests(HOUR_S) == {0: 3, jump: 3}
    after = {jump + at: 1 for at in (30, 40, 50)}
    before = dict.fromkeys((0, 10, 20), 1) if hours < 0 else {}  # too old by the new clock
    assert requests(FINE_S) == before | after


# --- what is kept ----------------------------------------------------------------------------


def test_what_is_too_old_goes_with_nobody_else_there(process, time):
    go_on(process, time, 60)
    time.passes(20 * 60)
    go_on(process, time, 120)
    assert min(requests(FINE_S)) >= 180
    assert 0 in requests(MINUTES_S)
    time.passes(25 * 3600)
    go_on(process, time, 120)
    assert 0 not in requests(MINUTES_S)
    assert 0 in requests(HOUR_S)
    time.passes(8 * 24 * 3600)
    go_on(process, time, 120)
    assert 0 not in requests(HOUR_S)


def test_looking_for_what_is_old_deletes_nothing_where_there_is_none(
    process, time, django_assert_num_queries
):
    go_on(process, time, 60)
    with django_assert_num_queries(4):
        buckets.trim(time.wall.timestamp())


def test_rows_of_processes_that_were_killed_go(process, time):
    go_on(process, time, 10)
    counting.count_from(None)
    buckets.trim(time.wall.timestamp() + buckets.NOW_KEPT_S + 1)
    assert not TrafficNow.objects.exists()


def test_names_are_bounded_and_the_total_is_not(process, time, monkeypatch):
    monkeypatch.setattr(buckets, "MOST_NAMES", 2)
    for port in range(5):
        process.carries(backend=f"web/a:{port}")
    time.passes(10)
    process.turn()
    names = [
        name
        for row in TrafficBucket.objects.exclude(part=WHOLE)
        for line in buckets.unpack(row.packed)
        for name in line
    ]
    assert len(names) == 2
    assert (
        sum(value or 0 for value in figures.series("15m").requests_per_s) == 0
    )  # not yet over
    time.passes(5)
    assert sum(value or 0 for value in figures.series("15m").requests_per_s) == 0.5


def test_who_counts_is_told_to_tidy_up(process, time):
    go_on(process, time, 120)
    assert process.tidied == 2


def test_writing_takes_few_queries_however_many_names(
    process, time, django_assert_max_num_queries
):
    for port in range(500):
        process.carries(backend=f"p{port}/a:{port}")
    time.passes(60)
    # A transaction's two, spans, the last minute; what is old.
    with django_assert_max_num_queries(10):
        process.turn()


def test_a_forked_child_writes_nothing_of_its_parents(process):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"none" if counting._source is None else b"some")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "none"
    os.waitpid(child, 0)


def test_a_name_is_found_whatever_the_others_are_called():
    names = ['a"b', "b", 'x,"pool:b":[1]', "pool:b", "ü", "c,", "c", "\\"]
    entries = {name: [index, 0, 0, 0, 0, 0] for index, name in enumerate(names)}
    packed = buckets.pack(buckets.lines(entries, bool))
    for index, name in enumerate(names):
        assert buckets.find(packed, name).requests == index
    assert buckets.find(packed, "a") is None
