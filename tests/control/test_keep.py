"""keep: the newest stay, and looking for old ones costs little."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pools.control import keep, publish
from pools.models import (
    Alert,
    Backend,
    Channel,
    Delivery,
    HealthEvent,
    LatencyBucket,
    Pool,
    ProbeGap,
    PublishedState,
    Revision,
    Telling,
)

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def few(settings, monkeypatch) -> None:
    settings.POOLS_KEEP_REVISIONS = 3
    settings.POOLS_KEEP_EVENTS = 3
    monkeypatch.setattr(keep, "_seen", 0)
    monkeypatch.setattr(keep, "_alerts_at", float("-inf"))


def revisions(count: int) -> None:
    for _ in range(count):
        with publish.change(who="test"):
            Pool.objects.create(name=f"p{Pool.objects.count()}")


def backend(port: int, *, events: int) -> Backend:
    pool, _ = Pool.objects.get_or_create(name="web")
    row, _ = Backend.objects.get_or_create(pool=pool, host="::1", port=port)
    for index in range(events):
        at = NOW + timedelta(seconds=index)
        HealthEvent.objects.create(backend=row, at=at, old="up", new="down", reason=f"{index}")
    return row


def test_the_newest_revisions_stay():
    revisions(5)
    keep.trim()
    assert [revision.number for revision in Revision.objects.all()] == [5, 4, 3]
    revisions(1)
    keep.trim()
    assert [revision.number for revision in Revision.objects.all()] == [6, 5, 4]


def test_the_revision_in_force_stays_whatever_else_is_there(settings):
    settings.POOLS_KEEP_REVISIONS = 1
    revisions(3)
    PublishedState.objects.update(revision=2)
    keep.trim()
    assert Revision.objects.filter(number=2).exists()


def test_the_newest_events_of_each_backend_stay():
    busy, calm = backend(1, events=5), backend(2, events=2)
    keep.trim()
    assert [event.reason for event in busy.events.all()] == ["4", "3", "2"]
    assert calm.events.count() == 2
    backend(2, events=2)
    keep.trim()
    assert calm.events.count() == 3
    assert busy.events.count() == 3


def test_nothing_new_costs_few_small_queries(django_assert_num_queries):
    revisions(4)
    backend(1, events=3)
    keep.trim()
    with django_assert_num_queries(6):
        keep.trim()


def test_latencies_and_gaps_that_nobody_asks_for_any_more_go(settings):
    settings.POOLS_KEEP_LATENCIES_DAYS = 2.0
    row = backend(1, events=0)
    for days in (1.9, 2.1):
        LatencyBucket.objects.create(
            backend=row, begins_at=NOW - timedelta(days=days), probes=1, failures=1
        )
    for days in (29, 31):
        at = NOW - timedelta(days=days)
        ProbeGap.objects.create(pool=row.pool, begins_at=at - timedelta(hours=1), ends_at=at)
    keep.trim()
    assert LatencyBucket.objects.count() == 1
    assert ProbeGap.objects.count() == 1


def test_alerts_that_are_over_and_messages_go_after_some_days(settings):
    settings.POOLS_KEEP_HISTORY_DAYS = 2.0
    past, recent = NOW - timedelta(days=3), NOW - timedelta(days=1)
    channel = Channel.objects.create(name="ops")
    for name, begun_at, ended_at in (
        ("open", past, None),
        ("old", past, past),
        ("recent", past, recent),
    ):
        alert = Alert.objects.create(
            kind="pool_empty", subject=name, begun_at=begun_at, ended_at=ended_at
        )
        for state in ("pending", "sent"):
            message = Delivery.objects.create(
                channel=channel,
                subject=f"{name} {state}",
                payload={},
                created_at=ended_at or past,
                next_at=past,
                state=state,
            )
        Telling.objects.create(
            channel=channel, alert=alert, phase="begun", at=past, since=past, delivery=message
        )
    keep.trim()
    assert set(Alert.objects.values_list("subject", flat=True)) == {"open", "recent"}
    assert set(Delivery.objects.values_list("subject", flat=True)) == {
        "open pending",
        "old pending",
        "recent pending",
        "recent sent",
    }
    assert Telling.objects.count() == 2
    Alert.objects.update(ended_at=past)
    keep.trim()
    assert Alert.objects.count() == 2  # it looks for them now and then
