import pytest
from django.db import OperationalError

from pools.health import tasks


@pytest.mark.parametrize(
    ("task", "work", "what"),
    [
        (tasks.probe, "rounds.run_due", "probing"),
        (tasks.publish_pending, "publish.publish_pending", "publishing"),
    ],
)
def test_a_database_that_is_away_is_told_once_and_when_it_is_back(
    task, work, what, monkeypatch, caplog
):
    caplog.set_level("INFO", "pools.health")

    def away(*args):
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(f"pools.health.tasks.{work}", away)
    task()
    task()
    monkeypatch.setattr(f"pools.health.tasks.{work}", lambda *args: None)
    task()
    task()
    assert caplog.messages == [
        f"{what} pauses, the database is away: connection refused",
        f"{what} goes on, the database is back",
    ]
