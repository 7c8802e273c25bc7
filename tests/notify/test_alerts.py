"""What becomes an alert, and what is told of it, when."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from pools.models import (
    Alert,
    Backend,
    BackendHealth,
    Channel,
    Delivery,
    Evaluation,
    Pool,
    ProbeSchedule,
    Telling,
)
from pools.notify import alerts, conditions
from tests.notify import site
from tests.notify.site import at, evaluated, told

pytestmark = pytest.mark.django_db(transaction=True)

DOWN = "web/10.0.0.1:1 is down"


@pytest.fixture(autouse=True)
def web():
    return site.pool()


def messages(count: int, name: str = "ops") -> list[str]:
    rows = Delivery.objects.filter(channel__name=name).order_by("pk")
    assert rows.count() == count
    return list(rows.values_list("text", flat=True))


def test_an_alert_is_open_until_it_is_over():
    site.down(1, seconds=0)
    evaluated(1, 2)
    (alert,) = Alert.objects.all()
    assert (alert.begun_at, alert.ended_at, alert.pool) == (at(0), None, "web")
    site.up(1, seconds=60)
    evaluated(61)
    alert.refresh_from_db()
    assert (alert.ended_at, alert.ending) == (at(61), "")
    site.down(1, seconds=70)
    evaluated(71)
    assert [one.ended_at for one in Alert.objects.all()] == [None, at(61)]  # open ones first


def test_two_open_alerts_of_one_thing_cannot_be():
    given = {"kind": "backend_down", "subject": "x", "begun_at": at(0)}
    Alert.objects.create(**given)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.create(**given)


def test_it_is_told_once_when_it_has_lasted_the_delay():
    site.channel(delay_s=30)
    site.down(1, seconds=0)
    evaluated(5, 29)
    assert told() == []
    evaluated(30, 35, 1000)
    assert told() == [DOWN]
    (text,) = messages(1)
    assert text.startswith(f"{DOWN}: connection refused (since ")


def test_what_comes_and_goes_within_the_delay_is_not_told():
    site.channel(delay_s=30)
    for start in range(0, 600, 40):
        site.down(1, seconds=start)
        evaluated(start + 1, start + 20)
        site.up(1, seconds=start + 20)
        evaluated(start + 21, start + 39)
    assert Alert.objects.count() == 15
    assert told() == []


def test_without_a_delay_it_is_told_at_once():
    site.channel(delay_s=0)
    site.down(1, seconds=0)
    evaluated(0)
    site.up(1, seconds=5)
    evaluated(5)
    assert told() == [DOWN, "over: web/10.0.0.1:1 was down for 5 s"]


def test_its_end_is_told_when_it_has_been_gone_for_the_delay():
    site.channel(delay_s=30)
    site.down(1, seconds=0)
    evaluated(30)
    site.up(1, seconds=60)
    evaluated(60, 89)
    assert told() == [DOWN]
    evaluated(90, 95)
    assert told() == [DOWN, "over: web/10.0.0.1:1 was down for 1 min"]


def test_what_was_told_is_not_told_again_while_it_flaps():
    site.channel(delay_s=30)
    site.down(1, seconds=0)
    evaluated(30)
    for start in range(40, 400, 60):
        site.up(1, seconds=start)
        evaluated(start, start + 20)
        site.down(1, seconds=start + 21)
        evaluated(start + 21, start + 55)
    assert told() == [DOWN]
    site.up(1, seconds=400)
    evaluated(400, 430)
    assert told() == [DOWN, "over: web/10.0.0.1:1 was down for 6 min 40 s"]
    site.down(1, seconds=500)
    evaluated(500, 530)
    assert told()[2:] == [DOWN]


def test_an_end_is_not_told_to_who_does_not_want_it_and_the_next_beginning_is():
    site.channel(delay_s=10, tell_end=False)
    for start in (0, 100):
        site.down(1, seconds=start)
        evaluated(start + 10)
        site.up(1, seconds=start + 20)
        evaluated(start + 20, start + 30)
    assert told() == [DOWN, DOWN]


def test_what_comes_together_goes_in_one_message():
    site.channel(delay_s=0)
    site.down(1, 2, 3, seconds=0)
    evaluated(0)
    (text,) = messages(1)
    assert told() == ["3 alerts: 3 begun"]
    assert text.count("is down: connection refused") == 3


def test_a_digest_gathers_what_is_due_within_it():
    site.channel(delay_s=10, digest_s=60)
    site.down(1, seconds=0)
    evaluated(5, 10)
    site.down(2, seconds=20)
    evaluated(20, 30)
    site.up(2, seconds=40)
    evaluated(40, 50, 69)
    assert told() == []
    evaluated(70)
    (text,) = messages(1)
    assert told() == ["2 alerts: 1 begun, 1 over"]
    assert "- web/10.0.0.1:2 was down for 20 s" in text
    assert "web/10.0.0.1:2 is down" not in text  # its end says all
    evaluated(200)
    assert len(told()) == 1


def test_a_new_channel_is_told_what_is_wrong_and_nothing_of_the_past():
    site.down(1, 2, seconds=0)
    evaluated(0)
    site.up(2, seconds=10)
    evaluated(10)
    site.channel(delay_s=5)
    evaluated(20)
    assert told() == [DOWN]


def test_a_channel_is_told_of_its_kinds_and_pools_alone():
    site.pool("api", ports=(11, 12))
    site.channel("all", delay_s=0)
    own = site.channel("own", delay_s=0, every_pool=False)
    own.pools.add(Pool.objects.get(name="api"))
    site.channel("empty", delay_s=0, kinds=["pool_empty"])
    site.channel("off", delay_s=0, enabled=False)
    site.down(1, 11, 12, seconds=0)
    evaluated(0)
    assert told("all") == ["3 alerts: 3 begun"]
    assert told("own") == ["2 alerts: 2 begun"]
    assert told("empty") == ["pool api has no backend left"]
    assert told("off") == []


def test_what_nobody_knows_changes_nothing():
    """Probes stopped: a backend that was down is neither up again nor told anew."""
    site.channel(delay_s=10, kinds=["backend_down", "not_probed"])
    site.down(1, seconds=0)
    evaluated(0)
    hours = 3 * 3600
    evaluated(hours, hours + 10)
    assert told() == ["pool web is not probed"]
    assert Alert.objects.filter(kind="backend_down", ended_at=None).count() == 1
    site.pool("other", ports=())  # nothing but time goes on
    ProbeSchedule.objects.update(done_at=at(hours + 20))
    evaluated(hours + 20, hours + 30)
    assert told()[1:] == [DOWN, "over: pool web was not probed for 20 s"]


def test_a_pool_that_is_empty_is_still_in_the_panic_that_was_told():
    site.channel(delay_s=0, kinds=["pool_panic", "pool_empty"])
    site.down(1, 2, 3, seconds=0)
    evaluated(0)
    site.down(4, seconds=10)
    evaluated(10)
    site.up(4, seconds=20)
    evaluated(20)
    site.up(1, 2, 3, seconds=30)
    evaluated(30)
    assert told() == [
        "pool web is in panic",
        "pool web has no backend left",
        "over: pool web had no backend left for 10 s",
        "over: pool web was in panic for 30 s",
    ]


def test_what_is_taken_away_is_over_and_says_why():
    site.channel(delay_s=0)
    site.down(1, 2, 3, seconds=0)
    evaluated(0)
    Backend.objects.filter(port=1).delete()
    Backend.objects.filter(port=2).update(state="maint")
    Pool.objects.filter(name="web").update(probe_kind="off")
    evaluated(5)
    text = messages(2)[1]
    assert "it is no longer configured" in text
    assert "it is in maint" in text
    assert "it is no longer probed" in text


def test_a_pool_that_is_deleted_ends_its_alerts():
    site.channel(delay_s=0, kinds=["backend_down", "pool_empty"])
    site.down(1, 2, 3, 4, seconds=0)
    evaluated(0)
    pool = Pool.objects.get(name="web")
    pool.routes.all().delete()
    pool.delete()
    evaluated(5)
    assert told()[1] == "5 alerts: 5 over"


def test_a_channel_that_is_switched_off_forgets_what_waited():
    ops = site.channel(delay_s=0, digest_s=600)
    site.down(1, seconds=0)
    evaluated(0)
    Channel.objects.update(enabled=False)
    evaluated(5)
    assert not Telling.objects.exists()
    Channel.objects.filter(pk=ops.pk).update(enabled=True, digest_s=0)
    evaluated(10)
    assert told() == [DOWN]


def test_a_deleted_channel_takes_its_messages_along():
    ops = site.channel(delay_s=0)
    site.channel("other", delay_s=0)
    site.down(1, seconds=0)
    evaluated(0)
    ops.delete()
    site.up(1, seconds=5)
    evaluated(5)
    assert told("ops") == []
    assert len(told("other")) == 2


def test_a_channel_deleted_in_between_makes_the_evaluation_void(monkeypatch):
    site.channel(delay_s=0)
    site.down(1, seconds=0)
    gather = alerts._gather

    def meanwhile(*args):
        gather(*args)
        Channel.objects.all().delete()

    monkeypatch.setattr(alerts, "_gather", meanwhile)
    assert not alerts.evaluate(at(0))
    assert not Alert.objects.exists()
    monkeypatch.setattr(alerts, "_gather", gather)
    evaluated(5)
    assert Alert.objects.count() == 1


def test_of_two_evaluations_at_a_time_one_has_an_effect(monkeypatch):
    """One that slept on its news changes nothing when it wakes: the backend is up by then."""
    site.channel(delay_s=0)
    read = conditions.read

    def slow(now):
        seen = read(now)
        monkeypatch.setattr(conditions, "read", read)
        evaluated(1)  # another worker's
        site.up(1, seconds=2)
        evaluated(2)
        return seen

    site.down(1, seconds=0)
    monkeypatch.setattr(conditions, "read", slow)
    assert not alerts.evaluate(at(0))
    assert told() == [DOWN, "over: web/10.0.0.1:1 was down for 2 s"]
    assert Alert.objects.filter(ended_at=None).count() == 0


def test_an_evaluation_that_took_too_long_changes_nothing(monkeypatch):
    site.down(1, seconds=0)
    monkeypatch.setattr(alerts, "STALE_S", 0)
    assert not alerts.evaluate(at(0))
    assert not Alert.objects.exists()
    assert Evaluation.current() == 0


def test_steady_news_is_not_written(django_assert_max_num_queries):
    site.channel(delay_s=0)
    site.down(1, seconds=0)
    evaluated(0)
    before = Evaluation.current()
    with django_assert_max_num_queries(14) as queries:
        evaluated(5)
    assert Evaluation.current() == before
    assert all(query["sql"].startswith("SELECT") for query in queries)


def test_a_clock_that_jumps_ahead_makes_no_flip():
    """Verdicts are stale then, until a round has been probed by the new clock."""
    site.channel(delay_s=30, kinds=["backend_down", "not_probed", "pool_empty"])
    site.down(1, seconds=0)
    evaluated(30)
    jump = 100 * 3600
    evaluated(jump)
    ProbeSchedule.objects.update(done_at=at(jump + 5))
    evaluated(jump + 5, jump + 40)
    assert told() == [DOWN]


def test_a_clock_that_is_set_back_delays_by_the_delay_alone():
    site.channel(delay_s=30)
    site.down(1, seconds=0)
    evaluated(10)
    evaluated(-3600, -3571)
    assert told() == []
    evaluated(-3570)
    assert told() == [DOWN]


def test_thousands_at_once_go_in_one_bounded_message():
    pool = Pool.objects.get(name="web")
    rows = [Backend(pool=pool, host="10.9.0.1", port=port) for port in range(1, 1501)]
    BackendHealth.objects.bulk_create(
        BackendHealth(backend=row, verdict="down", since=at(0))
        for row in Backend.objects.bulk_create(rows)
    )
    site.channel(delay_s=0)
    evaluated(0, 5)
    (delivery,) = Delivery.objects.all()
    assert delivery.subject == "1500 alerts: 1500 begun"
    assert delivery.text.endswith("- and 1470 more")
    assert len(delivery.payload["data"]["alerts"]) == 500
    assert delivery.payload["data"]["more"] == 1000
    BackendHealth.objects.update(verdict="up")
    evaluated(10)
    assert told()[1] == "1500 alerts: 1500 over"


def test_the_log_says_what_flips_do_not(caplog):
    caplog.set_level("INFO", "pools.notify")
    site.down(1, 2, 3, seconds=0)
    evaluated(0)
    site.up(1, 2, 3, seconds=5)
    evaluated(5)
    first, second = caplog.messages
    assert first.startswith("pool web is in panic: 1 of 4 ready backends are left")
    assert second.startswith("over: pool web was in panic for 5 s")
