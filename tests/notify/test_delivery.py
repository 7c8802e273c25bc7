"""Messages on their way, to servers that answer, fail and hang."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from pools.models import Channel, Delivery
from pools.notify import delivery, senders
from pools.notify.senders import posting
from tests.notify import site
from tests.notify.site import NOW, at
from tests.services import eventually, free_port

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400


def message(channel: Channel, subject: str = "web is down", **values) -> Delivery:
    given = {"text": subject, "payload": {"n": 1}, "created_at": NOW, "next_at": NOW}
    return Delivery.objects.create(channel=channel, subject=subject, **{**given, **values})


def slack(name: str, url: str, **settings) -> Channel:
    return site.channel(name, kind="slack", url=url, **settings)


def test_what_is_due_is_sent_and_its_result_kept(receiver):
    there = receiver()
    one = message(slack("ops", there.url))
    later = message(slack("other", there.url), next_at=at(60))
    assert delivery.deliver(NOW) == 1
    one.refresh_from_db()
    assert (one.state, one.attempts, one.result) == ("sent", 1, "status 200")
    assert one.sent_at is not None
    assert one.claimed_until is None
    later.refresh_from_db()
    assert (later.state, later.attempts) == ("pending", 0)
    assert delivery.deliver(NOW) == 0
    assert len(there.got) == 1


def test_what_fails_is_tried_again_later(receiver):
    there = receiver((500, {}, b"oh"), (500, {}, b""), (200, {}, b""))
    one = message(slack("ops", there.url))
    assert delivery.deliver(NOW) == 0
    one.refresh_from_db()
    assert (one.state, one.attempts, one.result) == ("pending", 1, "status 500: oh")
    assert one.next_at >= at(10)
    delivery.deliver(NOW)
    assert len(there.got) == 1
    delivery.deliver(one.next_at)
    one.refresh_from_db()
    assert one.next_at >= at(10 + 30)
    assert delivery.deliver(one.next_at) == 1
    one.refresh_from_db()
    assert (one.state, one.attempts, one.result) == ("sent", 3, "status 200")


def test_attempts_come_later_and_later_up_to_an_hour():
    waits = [delivery.retry_s(attempts) for attempts in range(1, 9)]
    assert waits == [10, 30, 90, 270, 810, 2430, 3600, 3600]
    assert delivery.retry_s(10**6) == 3600


def test_the_other_side_may_ask_for_more_time(receiver):
    there = receiver((429, {"Retry-After": "120"}, b""), (429, {"Retry-After": "999999"}, b""))
    one = message(slack("ops", there.url))
    delivery.deliver(NOW)
    one.refresh_from_db()
    assert one.next_at >= at(120)
    before = one.next_at
    delivery.deliver(before)
    one.refresh_from_db()
    assert timedelta(hours=1) <= one.next_at - before < timedelta(hours=2)


def test_after_a_day_it_is_given_up():
    one = message(slack("ops", f"http://127.0.0.1:{free_port()}/x"))
    seconds = 0.0
    while one.state == "pending":
        seconds = max(seconds, (one.next_at - NOW).total_seconds())
        delivery.deliver(at(seconds))
        one.refresh_from_db()
    assert (one.state, one.result) == ("failed", "connection refused")
    assert DAY - 3700 < seconds <= DAY
    assert one.attempts == 29


def test_a_channel_that_works_again_gets_the_rest_at_once(receiver):
    there = receiver((500, {}, b""), (500, {}, b""), (200, {}, b""))
    channel = slack("ops", there.url)
    first = message(channel, "first")
    delivery.deliver(NOW)
    second = message(channel, "second")
    delivery.deliver(at(1))
    third = message(channel, "third", next_at=at(2))
    assert delivery.deliver(at(2)) == 3
    for one in (first, second, third):
        one.refresh_from_db()
        assert one.state == "sent"


def test_messages_of_a_channel_go_in_their_order(receiver):
    there = receiver()
    channel = slack("ops", there.url)
    for number in range(5):
        message(channel, f"m{number}")
    assert delivery.deliver(NOW) == 5
    assert [body for _, _, body in there.got] == [
        f'{{"text": "m{number}"}}'.encode() for number in range(5)
    ]


def test_a_channel_that_fails_is_asked_once_a_round(receiver):
    there = receiver((500, {}, b""))
    channel = slack("ops", there.url)
    for number in range(3):
        message(channel, f"m{number}")
    delivery.deliver(NOW)
    assert len(there.got) == 1


def test_a_channel_that_hangs_holds_up_no_other(receiver, monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT_S", 5.0)
    slow, quick = receiver(), receiver()
    slow.script = [slow.hangs]
    hanging = message(slack("a-slow", slow.url))
    others = [message(slack(f"quick{number}", quick.url)) for number in range(20)]
    done = threading.Event()

    def round_of_messages() -> None:
        try:
            delivery.deliver(NOW)
        finally:
            connection.close()
            done.set()

    thread = threading.Thread(target=round_of_messages)
    thread.start()
    eventually(lambda: Delivery.objects.filter(state="sent").count() == len(others))
    assert not done.is_set()
    # Meanwhile another round leaves the claimed one alone.
    assert delivery.deliver(at(5)) == 0
    assert len(slow.got) == 1
    slow.ended.set()
    thread.join()
    hanging.refresh_from_db()
    assert (hanging.state, hanging.attempts) == ("pending", 1)


def test_an_answer_that_drips_for_ever_ends_as_a_failure(receiver, monkeypatch):
    monkeypatch.setattr(delivery, "SEND_S", 0.3)
    there = receiver()
    there.script = [there.drips]
    one = message(slack("ops", there.url))
    assert delivery.deliver(NOW) == 0
    one.refresh_from_db()
    assert (one.state, one.result) == ("pending", "no end of it after 0.3 s")


def test_a_database_that_is_away_for_a_moment_has_nothing_sent_twice(receiver, monkeypatch):
    there = receiver()
    for name in ("ops", "other"):
        message(slack(name, there.url))
    record, away = delivery._record, [1, 2]

    def recorded(*args):
        if away:
            away.pop()
            raise OperationalError("database is locked")
        record(*args)

    monkeypatch.setattr(delivery, "KEEP_EACH_S", 0.01)
    monkeypatch.setattr(delivery, "_record", recorded)
    assert delivery.deliver(NOW) == 2
    assert {one.state for one in Delivery.objects.all()} == {"sent"}
    delivery.deliver(at(120))
    assert len(there.got) == 2


def test_a_database_that_stays_away_ends_the_round(receiver, monkeypatch):
    message(slack("ops", receiver().url))

    def away(*args):
        raise OperationalError("connection refused")

    monkeypatch.setattr(delivery, "KEEP_S", 0.0)
    monkeypatch.setattr(delivery, "_record", away)
    with pytest.raises(OperationalError):
        delivery.deliver(NOW)


def test_a_claim_of_a_process_that_died_runs_out(receiver):
    """Killed between claim and send, or between send and record: it is sent again."""
    there = receiver()
    one = message(slack("ops", there.url))
    assert delivery._claim(one, NOW)
    assert delivery.deliver(at(30)) == 0
    assert delivery.deliver(at(61)) == 1
    one.refresh_from_db()
    assert (one.state, one.attempts) == ("sent", 2)


def test_a_late_result_of_a_lost_claim_changes_nothing(receiver):
    one = message(slack("ops", receiver().url))
    assert delivery._claim(one, NOW)
    assert delivery.deliver(at(61)) == 1
    delivery._record(one, delivery.Result(False, "timed out"), at(62))
    one.refresh_from_db()
    assert (one.state, one.result) == ("sent", "status 200")


def test_only_one_of_two_claims_holds():
    one = message(slack("ops", "http://127.0.0.1:9/x"))
    same = Delivery.objects.get(pk=one.pk)
    assert delivery._claim(one, NOW)
    assert not delivery._claim(same, NOW)
    same.refresh_from_db()  # read after the claim, looked for before it
    assert not delivery._claim(same, NOW)


def test_a_clock_that_was_set_back_holds_up_nothing_for_long(receiver):
    there = receiver()
    message(slack("ops", there.url), next_at=at(DAY))
    claimed = message(slack("other", there.url), claimed_until=at(DAY), attempts=1)
    assert delivery.deliver(NOW) == 2
    claimed.refresh_from_db()
    assert claimed.state == "sent"


def test_a_channel_that_is_switched_off_gets_nothing_more(receiver):
    there = receiver()
    one = message(slack("ops", there.url, enabled=False))
    assert delivery.deliver(NOW) == 0
    one.refresh_from_db()
    assert (one.state, one.result) == ("failed", "the channel was switched off")
    assert there.got == []


def test_a_channel_deleted_while_it_is_sent_to_is_no_trouble(receiver):
    channel = slack("ops", "")

    def delete(handler):
        Channel.objects.all().delete()
        connection.close()
        handler.send_response(200)
        handler.end_headers()

    channel.url = receiver(delete).url
    channel.save()
    message(channel)
    assert delivery.deliver(NOW) == 1
    assert not Delivery.objects.exists()


def test_nothing_of_the_database_is_held_while_sending(receiver, monkeypatch):
    held = []
    start = delivery._start

    def looked_at(*args):
        held.append(connection.in_atomic_block)
        start(*args)

    monkeypatch.setattr(delivery, "_start", looked_at)
    message(slack("ops", receiver().url))
    delivery.deliver(NOW)
    assert held == [False]


def test_nothing_due_is_only_read(django_assert_num_queries):
    slack("ops", "http://127.0.0.1:9/x")
    with django_assert_num_queries(3) as queries:
        delivery.deliver(NOW)
    assert all(query["sql"].startswith("SELECT") for query in queries)


def test_a_test_is_sent_at_once_and_kept(receiver):
    there = receiver()
    done = delivery.send_test(slack("ops", there.url, enabled=False), NOW)
    assert (done.state, done.result, done.attempts) == ("sent", "status 200", 1)
    assert b"test of channel ops" in there.got[0][2]
    assert Delivery.objects.get().subject == "test of channel ops"


def test_a_test_that_fails_is_not_tried_again(receiver, monkeypatch):
    there = receiver((500, {}, b""))
    channel = slack("ops", there.url)
    done = delivery.send_test(channel, NOW)
    assert (done.state, done.result) == ("failed", "status 500")
    monkeypatch.setattr(delivery, "SEND_S", 0.1)
    there.script = [there.hangs]
    assert delivery.send_test(channel, NOW).result == "no end of it after 0.1 s"
    delivery.deliver(at(DAY))
    assert len(there.got) == 2


def test_what_was_given_up_can_be_sent_again(receiver):
    there = receiver((500, {}, b""), (200, {}, b""))
    channel = slack("ops", there.url)
    one = message(channel, state="failed", created_at=NOW - timedelta(days=3))
    sent = message(channel, state="sent", sent_at=NOW)
    assert delivery.retry(Delivery.objects.all(), NOW) == 1
    delivery.deliver(NOW)
    one.refresh_from_db()
    assert one.state == "failed"  # one attempt more
    delivery.retry(Delivery.objects.filter(pk=one.pk), NOW)
    assert delivery.deliver(NOW) == 1
    sent.refresh_from_db()
    assert (sent.state, sent.attempts) == ("sent", 0)


def test_a_sender_never_raises_anything_else(monkeypatch):
    """Or its thread would end without a word."""

    def broken(*args):
        raise KeyError("x")

    monkeypatch.setitem(senders.SENDERS, senders.ChannelKind.SLACK, broken)
    one = message(slack("ops", "http://127.0.0.1:9/x"))
    delivery.deliver(NOW)
    one.refresh_from_db()
    assert one.result == "it could not be sent (KeyError)"
