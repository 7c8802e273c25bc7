"""Messages on their way: claimed, sent, tried again, given up.

Rules:
- A message is claimed by a conditional update before it is sent, so that workers side by
  side send it once. The claim of a process that died runs out, and the message is sent
  again: it arrives at least once, with the same id.
- Nothing of the database is held while it is sent, which happens in threads of its own: a
  channel that hangs holds up none of the others.
- A database that is away when a result is to be written is waited for, for some seconds.
- What failed is tried again later and later, for a day. A channel that works again gets
  the rest at once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, close_old_connections
from django.db.models import F, Q, QuerySet

from pools.control import audit
from pools.models import Channel, Delivery
from pools.models.alert import DeliveryState
from pools.notify import message, senders
from pools.notify.senders import SendError

SEND_S = 20.0  # after which a message counts as not sent, whatever goes on
LEASE = timedelta(seconds=60)
KEEP_S, KEEP_EACH_S = 20.0, 0.5  # how long, and how often, a result is tried to be written
FIRST_RETRY_S, RETRY_FACTOR, LAST_RETRY_S = 10.0, 3.0, 3600.0
GIVEN_UP_AFTER = timedelta(days=1)
SIDE_BY_SIDE = 16  # channels that are sent to at a time
ROUND_S = 30.0  # after which a round begins nothing more


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one attempt; `wait_s` as of SendError."""

    ok: bool
    words: str
    wait_s: float = 0.0


def deliver(now: datetime) -> int:
    """Send what is due, until nothing is or the round's time is over; how much was sent."""
    started = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - started)

    idle = Delivery.objects.filter(state=DeliveryState.PENDING, channel__enabled=False)
    if idle.exists():  # an update of nothing, too, would make SQLite's other writers wait
        idle.update(state=DeliveryState.FAILED, result="the channel was switched off")
    results: queue.SimpleQueue[tuple[Delivery, Result]] = queue.SimpleQueue()
    running: dict[int, tuple[Delivery, float]] = {}  # by channel, with when it is over
    failed: set[int] = set()
    sent = 0
    while True:
        if time.monotonic() - started < ROUND_S:
            for delivery in _due(clock(), without={*running, *failed}):
                if len(running) >= SIDE_BY_SIDE:
                    break
                if _claim(delivery, clock()):
                    _start(delivery, clock(), results)
                    running[delivery.channel_id] = delivery, time.monotonic() + SEND_S
        if not running:
            return sent
        soonest = min(until for _, until in running.values())
        try:
            done = [results.get(timeout=max(soonest - time.monotonic(), 0))]
        except queue.Empty:
            overdue = Result(False, f"no end of it after {SEND_S:g} s")
            done = [(one, overdue) for one, until in running.values() if until <= soonest]
        for delivery, result in done:
            if running.get(delivery.channel_id, (None, 0))[0] is not delivery:
                continue  # it was given up
            del running[delivery.channel_id]
            _keep(delivery, result, clock)
            if result.ok:
                sent += 1
            else:
                failed.add(delivery.channel_id)


def send_test(channel: Channel, now: datetime) -> Delivery:
    """Send a test at once, enabled or not, and keep what came of it; it is not retried."""
    trial = message.trial(channel.name, now)
    delivery = Delivery(
        channel=channel,
        subject=trial.subject,
        text=trial.text,
        payload=trial.payload,
        created_at=now,
        next_at=now,
        attempts=1,
    )
    results: queue.SimpleQueue[tuple[Delivery, Result]] = queue.SimpleQueue()
    _start(delivery, now, results)
    try:
        _, result = results.get(timeout=SEND_S)
    except queue.Empty:
        result = Result(False, f"no end of it after {SEND_S:g} s")
    delivery.state = DeliveryState.SENT if result.ok else DeliveryState.FAILED
    delivery.result = result.words
    delivery.sent_at = now if result.ok else None
    delivery.save()
    audit.record("tested", kind="channel", name=channel.name)
    return delivery


def retry(deliveries: QuerySet[Delivery], now: datetime) -> int:
    """Make those that were not sent due now; how many they are."""
    return deliveries.exclude(state=DeliveryState.SENT).update(
        state=DeliveryState.PENDING, next_at=now
    )


def retry_s(attempts: int) -> float:
    """Seconds from a failure to the next attempt, after so many."""
    seconds: float = FIRST_RETRY_S * RETRY_FACTOR ** min(attempts - 1, 20)
    return min(seconds, LAST_RETRY_S)


def _due(now: datetime, *, without: set[int]) -> list[Delivery]:
    """The first message of each channel that waits for one and has none on its way."""
    pending = Delivery.objects.filter(state=DeliveryState.PENDING)
    busy = set(pending.exclude(_free(now)).values_list("channel_id", flat=True))
    rows = (
        pending.filter(_ripe(now))
        .exclude(channel__in=busy | without)
        .order_by("channel_id", "created_at", "pk")
        .values_list("pk", "channel_id")
    )
    firsts: dict[int, int] = {}
    for pk, channel in rows:
        firsts.setdefault(channel, pk)
    chosen = Delivery.objects.filter(pk__in=firsts.values()).select_related("channel")
    return list(chosen.order_by("next_at", "pk"))


# Times that lie further ahead than any are of a clock that was set back since.


def _free(now: datetime) -> Q:
    """Nobody has claimed it."""
    over = Q(claimed_until__lte=now) | Q(claimed_until__gt=now + 2 * LEASE)
    return Q(claimed_until=None) | over


def _ripe(now: datetime) -> Q:
    far = now + 2 * timedelta(seconds=LAST_RETRY_S)
    return Q(next_at__lte=now) | Q(next_at__gt=far)


def _claim(delivery: Delivery, now: datetime) -> bool:
    """Whether this process is to send it. What `_due` saw may be past by now."""
    unchanged = Delivery.objects.filter(
        _free(now),
        _ripe(now),
        pk=delivery.pk,
        state=DeliveryState.PENDING,
        attempts=delivery.attempts,
    )
    claimed = unchanged.update(attempts=F("attempts") + 1, claimed_until=now + LEASE)
    delivery.attempts += 1
    return bool(claimed)


def _start(
    delivery: Delivery,
    now: datetime,
    results: queue.SimpleQueue[tuple[Delivery, Result]],
) -> None:
    """Send it in a thread that nobody has to wait for: what drips may do so for long."""
    channel = delivery.channel

    def run() -> None:
        try:
            result = Result(True, senders.send(channel, delivery, now))
        except SendError as error:
            result = Result(False, str(error), error.wait_s)
        results.put((delivery, result))

    threading.Thread(target=run, name=f"notify {channel.pk}", daemon=True).start()


def _keep(delivery: Delivery, result: Result, clock: Callable[[], datetime]) -> None:
    """Record it, and try again while the claims of this round hold: what was sent and not
    written down is sent twice."""
    until = time.monotonic() + KEEP_S
    while True:
        try:
            _record(delivery, result, clock())
        except (InterfaceError, OperationalError):
            if time.monotonic() >= until:
                raise
            close_old_connections()
            time.sleep(KEEP_EACH_S)
        else:
            return


def _record(delivery: Delivery, result: Result, now: datetime) -> None:
    """Keep the result; a channel that works gets what else waits for it, from now on."""
    row = Delivery.objects.filter(pk=delivery.pk)
    if result.ok:
        row.update(
            state=DeliveryState.SENT, result=result.words, sent_at=now, claimed_until=None
        )
        others = Delivery.objects.filter(
            channel=delivery.channel_id, state=DeliveryState.PENDING, next_at__gt=now
        )
        others.update(next_at=now)
        return
    wait = timedelta(seconds=max(retry_s(delivery.attempts), min(result.wait_s, LAST_RETRY_S)))
    over = now + wait > delivery.created_at + GIVEN_UP_AFTER
    # Not where another one has claimed it since, or has sent it.
    row.filter(state=DeliveryState.PENDING, attempts=delivery.attempts).update(
        state=DeliveryState.FAILED if over else DeliveryState.PENDING,
        result=result.words,
        next_at=now + wait,
        claimed_until=None,
    )
