import pytest
from django.db import OperationalError, ProgrammingError

from pools import tasks
from pools.control import publish
from pools.models import Pool, Revision


@pytest.mark.parametrize(
    ("task", "work", "what"),
    [
        (tasks.probe, "worker.tick", "probing"),
        (tasks.publish_pending, "publish.publish_pending", "publishing"),
        (tasks.notify, "alerts.evaluate", "notifying"),
    ],
)
def test_a_database_that_is_away_is_told_once_and_when_it_is_back(
    task, work, what, monkeypatch, caplog
):
    caplog.set_level("INFO", "pools.health")

    def away(*args):
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(tasks.keep, "trim", lambda: None)
    monkeypatch.setattr(tasks.delivery, "deliver", lambda now: 0)
    monkeypatch.setattr(f"pools.tasks.{work}", away)
    task()
    task()
    monkeypatch.setattr(f"pools.tasks.{work}", lambda *args: None)
    task()
    task()
    assert caplog.messages == [
        f"{what} pauses, the database is away: connection refused",
        f"{what} goes on, the database is back",
    ]


def test_a_database_without_its_migrations_is_told_in_a_line(monkeypatch, caplog):
    def older():
        raise ProgrammingError('relation "pools_process" does not exist\nLINE 1')

    monkeypatch.setattr(tasks.worker, "tick", older)
    tasks.probe()
    monkeypatch.setattr(tasks.worker, "tick", lambda: None)
    tasks.probe()
    (said,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert said.getMessage().endswith('relation "pools_process" does not exist')


@pytest.mark.django_db
def test_the_past_is_trimmed_with_each_publishing(settings):
    settings.POOLS_KEEP_REVISIONS = 1
    for name in ("a", "b"):
        with publish.change(who="test"):
            Pool.objects.create(name=name)
    tasks.publish_pending()
    assert [revision.number for revision in Revision.objects.all()] == [2]
