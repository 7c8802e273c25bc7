"""watch: the process's engine follows what is published, and outlives the database."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone

from pools.control import compile, last_good, publish, reports, wake, watch
from pools.control.apply import apply
from pools.core.probing import Verdict
from pools.core.request import RequestHead
from pools.core.retry import Failure, FailureKind
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule, Revision
from tests.services import eventually

pytestmark = pytest.mark.django_db

SITE = {
    "pools": [
        {"name": "web", "backends": [{"host": "a", "port": 1}, {"host": "b", "port": 2}]}
    ],
    "routes": [{"name": "all", "pool": "web"}],
}


def publish_site(site: object = SITE) -> int:
    with publish.change(who="test") as outcome:
        apply(compile.checked(site))
    assert outcome.revision
    return outcome.revision.number


def set_health(verdict: str, *, host: str = "a", age_s: float = 0) -> None:
    backend = Backend.objects.get(host=host)
    BackendHealth.objects.update_or_create(backend=backend, defaults={"verdict": verdict})
    done_at = timezone.now() - timedelta(seconds=age_s)
    ProbeSchedule.objects.update_or_create(
        pool=backend.pool, defaults={"next_at": done_at, "done_at": done_at}
    )
    publish.health_changed()


def verdict_of(watcher: watch.Watcher, key: str = "web/a:1") -> Verdict:
    return {status.key: status.verdict for status in watcher.engine.status()}[key]


@contextmanager
def database_away(statements: str = "") -> Iterator[None]:
    def refuse(execute, sql, params, many, context):
        if statements in sql:
            raise OperationalError("connection refused")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


def test_a_look_takes_over_what_was_published():
    watcher = watch.Watcher()
    watcher.look()
    assert watcher.engine.snapshot.revision == 0
    number = publish_site()
    watcher.look()
    assert watcher.engine.snapshot.revision == number
    assert {status.key for status in watcher.engine.status()} == {"web/a:1", "web/b:2"}


def test_nothing_new_costs_one_query(django_assert_num_queries):
    publish_site()
    set_health("up")
    watcher = watch.Watcher()
    watcher.look()
    with django_assert_num_queries(1):
        watcher.look()


def test_health_is_taken_over_without_compiling():
    publish_site()
    watcher = watch.Watcher()
    watcher.look()
    snapshot = watcher.engine.snapshot
    set_health("down")
    watcher.look()
    assert verdict_of(watcher) is Verdict.DOWN
    assert watcher.engine.snapshot is snapshot


def looked(watcher: watch.Watcher, verdict: Verdict) -> bool:
    watcher.look()
    return verdict_of(watcher) is verdict


def test_health_that_grew_stale_is_unknown_though_nothing_was_written():
    publish_site()
    Pool.objects.update(probe_interval_s=1.0)
    set_health("down", age_s=1)
    watcher = watch.Watcher()
    assert looked(watcher, Verdict.DOWN)
    eventually(lambda: looked(watcher, Verdict.UNKNOWN))
    ProbeSchedule.objects.update(done_at=timezone.now() + timedelta(hours=1))
    eventually(lambda: looked(watcher, Verdict.DOWN))


def test_a_clock_that_jumps_makes_no_health_stale(monkeypatch, caplog):
    publish_site()
    set_health("down")
    watcher = watch.Watcher()
    watcher.look()
    monkeypatch.setattr(watch, "Now", lambda: Now() + timedelta(hours=1))
    assert looked(watcher, Verdict.DOWN)
    assert "the clock jumped by +3600 s" in caplog.text
    set_health("up", age_s=-3600)
    assert looked(watcher, Verdict.UP)


def test_an_ejection_is_said_and_a_passing_probe_ends_it(caplog):
    publish_site()
    set_health("up")
    watcher = watch.Watcher()
    watcher.look()
    engine = watcher.engine
    head = RequestHead(method=b"GET", host="", path=b"/", headers=[], client="127.0.0.1")
    route = engine.match(head)
    assert route is not None
    broken = Failure(kind=FailureKind.ERROR, bytes_sent=True, replayable=True, reused=False)
    while "web/a:1" not in engine.ejected():
        with engine.begin(route, head) as exchange:
            if exchange.acquire().backend.key == "web/a:1":
                exchange.fail(broken)
            else:
                exchange.respond(200, replayable=True)
    watcher.look()
    watcher.look()
    assert "web/a:1" in engine.ejected()
    (said,) = [
        record.getMessage() for record in caplog.records if "web/a:1" in record.getMessage()
    ]
    assert (
        said
        == "web/a:1: ejected for 30 s: 5 failed requests in a row, the last: no whole answer"
    )
    ProbeSchedule.objects.update(began_at=timezone.now())
    watcher.look()
    assert engine.ejected() == frozenset()


def test_the_database_s_absence_is_said_once_and_survived(caplog):
    caplog.set_level("INFO")
    number = publish_site()
    watcher = watch.Watcher()
    watcher.look()
    with database_away():
        watcher.look()
        watcher.look()
    assert watcher.engine.snapshot.revision == number
    watcher.look()
    watcher.look()
    assert [record.getMessage() for record in caplog.records] == [
        "cannot look for changes, going on with revision 1: connection refused",
        "watching works again, at revision 1",
    ]


def test_it_starts_from_the_last_good_file(settings, tmp_path, caplog):
    settings.POOLS_DATA_DIR = tmp_path
    publish_site()
    watch.Watcher().look()
    watcher = watch.Watcher()
    with database_away():
        watcher.look()
        watcher.look()
    assert watcher.engine.snapshot.revision == 1
    assert "starting from the last good configuration, revision 1" in caplog.text
    assert len(caplog.records) == 2
    publish_site({"pools": []})
    watcher.look()
    assert watcher.engine.snapshot.revision == 2
    assert watcher.engine.snapshot.document.pools == ()


def test_the_database_s_word_counts_more_than_a_file_of_the_same_number(settings, tmp_path):
    settings.POOLS_DATA_DIR = tmp_path
    last_good.save(tmp_path, compile.checked({"pools": [{"name": "old"}]}), revision=1)
    publish_site()
    watcher = watch.Watcher()
    with database_away():
        watcher.look()
    watcher.look()
    assert [pool.name for pool in watcher.engine.snapshot.document.pools] == ["web"]
    assert last_good.load(tmp_path) == (1, watcher.engine.snapshot.document)


def test_it_starts_with_the_last_good_health_too(settings, tmp_path):
    settings.POOLS_DATA_DIR = tmp_path
    publish_site()
    set_health("down")
    watch.Watcher().look()
    watcher = watch.Watcher()
    with database_away():
        watcher.look()
    assert verdict_of(watcher) is Verdict.DOWN
    set_health("up")
    watcher.look()
    assert verdict_of(watcher) is Verdict.UP


def test_health_is_kept_at_most_once_a_second(settings, tmp_path, monkeypatch):
    settings.POOLS_DATA_DIR = tmp_path
    now = 100.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    publish_site()
    watcher = watch.Watcher()
    set_health("down")
    watcher.look()
    set_health("up")
    watcher.look()
    assert last_good.load_health(tmp_path) == {"web/a:1": Verdict.DOWN}
    now += 1
    watcher.look()  # nothing new, but what was put off
    assert last_good.load_health(tmp_path) == {"web/a:1": Verdict.UP}


def test_it_is_loaded_once_there_is_something_to_route_by(settings, tmp_path):
    watcher = watch.Watcher()
    with database_away():
        watcher.look()
    assert not watcher.loaded
    watcher.look()
    assert watcher.loaded  # revision 0

    settings.POOLS_DATA_DIR = tmp_path
    last_good.save(tmp_path, compile.checked({}), revision=1)
    watcher = watch.Watcher()
    with database_away():
        watcher.look()
    assert watcher.loaded


def test_a_first_revision_that_cannot_be_used_is_nothing_to_route_by():
    publish_site()
    Revision.objects.update(document={"pools": 5})
    watcher = watch.Watcher()
    watcher.look()
    assert not watcher.loaded


def test_a_folder_that_is_gone_is_a_warning_and_no_more(settings, tmp_path, caplog):
    settings.POOLS_DATA_DIR = tmp_path / "gone"
    publish_site()
    watcher = watch.Watcher()
    watcher.look()
    assert watcher.engine.snapshot.revision == 1
    assert "the last good configuration is not kept" in caplog.text


def test_a_revision_that_cannot_be_used_is_said_once_and_changes_nothing(caplog):
    publish_site()
    watcher = watch.Watcher()
    watcher.look()
    publish_site({"pools": []})
    Revision.objects.filter(number=2).update(document={"pools": 5})
    watcher.look()
    watcher.look()
    assert watcher.engine.snapshot.revision == 1
    assert [record.getMessage() for record in caplog.records] == [
        "revision 2 cannot be used, going on without: pools: 5 is not a list"
    ]


def test_any_other_trouble_is_said_with_its_trace_and_survived(caplog, monkeypatch):
    publish_site()
    watcher = watch.Watcher()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(watch.verdicts, "read", broken)
        watcher.look()
        watcher.look()
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info
    watcher.look()
    assert watcher.engine.snapshot.revision == 1


def test_with_no_interval_each_call_looks_and_no_thread_is_started():
    before = threading.active_count()
    assert watch.engine().snapshot.revision == 0
    publish_site()
    assert watch.engine().snapshot.revision == 1
    assert threading.active_count() == before


def test_the_secret_is_the_site_s(settings):
    first = watch.secret()
    assert first == watch.secret()
    settings.SECRET_KEY = "another"
    assert first != watch.secret()


# --- with threads ------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_thread_follows_and_ends(settings):
    settings.POOLS_POLL_INTERVAL_S = 0.05
    publish_site()
    engine = watch.engine()
    assert engine.snapshot.revision == 1  # loaded by the time of the first call
    assert watch.engine() is engine
    publish_site({"pools": []})
    eventually(lambda: engine.snapshot.revision == 2)
    threads = [thread for thread in threading.enumerate() if thread.name == "pools-watch"]
    assert [thread.daemon for thread in threads] == [True]
    watch.stop()
    assert not threads[0].is_alive()
    assert watch.engine() is not engine


@pytest.mark.django_db(transaction=True)
def test_threads_that_ask_at_once_get_one_engine(settings):
    settings.POOLS_POLL_INTERVAL_S = 0.5
    found: list[object] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait(10)
        found.append(watch.engine())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.django_db(transaction=True)
def test_a_hanging_database_does_not_hold_up_the_start(settings, tmp_path, monkeypatch):
    settings.POOLS_POLL_INTERVAL_S = 0.05
    settings.POOLS_DATA_DIR = tmp_path
    last_good.save(tmp_path, compile.checked({"pools": [{"name": "kept"}]}), revision=9)
    answers = threading.Event()
    read = watch.verdicts.read

    def hanging(*args):
        answers.wait(20)
        return read(*args)

    monkeypatch.setattr(watch, "FIRST_LOOK_S", 0.05)
    monkeypatch.setattr(watch.verdicts, "read", hanging)
    publish_site()
    engine = watch.engine()
    assert engine.snapshot.revision == 9
    answers.set()
    eventually(lambda: engine.snapshot.revision == 1)


@pytest.mark.django_db(transaction=True)
def test_a_forked_child_watches_for_itself(settings):
    settings.POOLS_POLL_INTERVAL_S = 0.05
    publish_site()
    engine = watch.engine()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            mine = watch.engine()
            alive = any(thread.name == "pools-watch" for thread in threading.enumerate())
            watch.stop()
            said = f"{mine is not engine} {alive} {mine.snapshot.revision}"
            os.write(writing, said.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "True True 1"
    os.waitpid(child, 0)


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_is_sooner_than_the_poll(settings, redis_url):
    settings.POOLS_POLL_INTERVAL_S = 60
    settings.POOLS_REDIS_URL = redis_url
    publish_site()
    engine = watch.engine()
    publish_site({"pools": []})
    eventually(lambda: engine.snapshot.revision == 2)
    Pool.objects.create(name="late")
    publish.publish_pending()
    eventually(lambda: engine.snapshot.revision == 3)


def test_redis_away_is_said_once_and_fails_nothing(settings, caplog):
    settings.POOLS_REDIS_URL = "redis://127.0.0.1:1/0"
    wake.wake()
    wake.wake()
    assert len(caplog.records) == 1
    assert "Redis is away" in caplog.text


def test_a_process_tells_how_soon_it_took_a_revision_over():
    watcher = watch.Watcher()
    publish_site()
    watcher.look()
    assert watcher.telling.took is None  # it began with it
    number = publish_site({**SITE, "routes": []})
    made_at = publish.made_at(number)
    Revision.objects.filter(number=number).update(created_at=made_at - timedelta(hours=1))
    watcher.look()
    took, after_s = watcher.telling.took
    assert took == number
    assert 3600 <= after_s < 3700
    report = reports.of(watcher.engine, {}, None, watcher.telling.took)
    assert report["took_s"] == round(after_s, 2)
    assert "took_s" not in reports.of(watcher.engine, {}, None, (number - 1, 1.0))
