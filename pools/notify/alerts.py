"""Alerts and whom they are told: conditions become rows, rows become messages.

Rules:
- It goes by what is so, not by what happened: each evaluation compares what is wrong now
  with what is written, so that one that did not happen, or was killed, loses nothing.
- An alert is told to a channel when it has lasted the channel's delay and is still so; its
  end when it has been gone for the delay and has not come back. What a channel was told
  stands until it is told the end: it is not told again, however often it comes and goes.
- What is to be told waits for the channel's digest, counted from the first, and goes in
  one message.
- One evaluation at a time has an effect: that which changes rows takes the next number of
  Evaluation, or changes nothing where another one has. One that slept on its news changes
  nothing either.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Max

from pools.models import Alert, Channel, Delivery, Evaluation, Telling
from pools.models.alert import AlertKind, Phase
from pools.notify import conditions, message
from pools.notify.conditions import Condition, Key, Seen

T = TypeVar("T")

logger = logging.getLogger("pools.notify")

STALE_S = 10.0  # news that an evaluation has held for longer is not acted upon
SKEW = timedelta(minutes=1)  # by which clocks of machines may differ
_CHUNK = 500


@dataclass(slots=True, kw_only=True)
class _Book:
    """What is written: open alerts, and what enabled channels have been told."""

    open: dict[Key, Alert]
    channels: list[Channel]
    pools: dict[int, set[str]]  # of the channels that are not for every pool
    standing: dict[tuple[int, Key], Telling]
    waiting: dict[int, list[Telling]]
    idle: list[int] = field(default_factory=list)  # tellings of channels switched off

    def wants(self, channel: Channel, alert: Alert) -> bool:
        if alert.kind not in channel.kinds:
            return False
        return channel.every_pool or alert.pool in self.pools[channel.pk]


@dataclass(slots=True)
class _Work:
    """What an evaluation is to change."""

    begun: list[Alert] = field(default_factory=list)
    ended: list[Alert] = field(default_factory=list)
    clamped: list[Alert] = field(default_factory=list)
    told: list[Telling] = field(default_factory=list)
    settled: list[Telling] = field(default_factory=list)
    messages: list[tuple[Delivery, list[Telling]]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


def evaluate(now: datetime) -> bool:
    """Bring alerts and what is told of them up to `now`.

    False: nothing was changed, as another evaluation was faster or this one too slow.
    """
    started = time.monotonic()
    number = Evaluation.current()
    seen = conditions.read(now)
    book = _read()
    work = _compare(seen, book, now)
    _tell(work, seen, book, now)
    _gather(work, book, now)
    if not work:
        return True
    try:
        with transaction.atomic():
            fresh = Evaluation.advance(number) and time.monotonic() - started < STALE_S
            if fresh:
                _write(work)
            else:
                transaction.set_rollback(True)
    except IntegrityError:  # a channel was deleted meanwhile
        return False
    if fresh:
        _say(work)
    return fresh


def _read() -> _Book:
    channels = list(Channel.objects.filter(enabled=True).prefetch_related("pools"))
    ids = {channel.pk for channel in channels}
    rows = Telling.objects.select_related("alert").order_by("pk")
    waiting: dict[int, list[Telling]] = {channel.pk: [] for channel in channels}
    idle = []
    for telling in rows.filter(waits=True):
        if telling.channel_id in ids:
            waiting[telling.channel_id].append(telling)
        else:
            idle.append(telling.pk)
    return _Book(
        open={
            (alert.kind, alert.subject): alert for alert in Alert.objects.filter(ended_at=None)
        },
        channels=channels,
        pools={
            channel.pk: {pool.name for pool in channel.pools.all()}
            for channel in channels
            if not channel.every_pool
        },
        standing={
            (telling.channel_id, (telling.alert.kind, telling.alert.subject)): telling
            for telling in rows.filter(stands=True, channel__in=ids)
        },
        waiting=waiting,
        idle=idle,
    )


def _compare(seen: Seen, book: _Book, now: datetime) -> _Work:
    """Which alerts begin and end; `book.open` is then as it will be."""
    work = _Work(dropped=book.idle)
    for key, alert in list(book.open.items()):
        if key in seen.wrong or key in seen.vague:
            if alert.begun_at > now + SKEW:  # the clock was set back
                alert.begun_at = now
                work.clamped.append(alert)
            continue
        alert.ended_at = max(now, alert.begun_at)
        alert.ending = seen.ending(*key)
        work.ended.append(alert)
        del book.open[key]
    for key, condition in seen.wrong.items():
        if key not in book.open and key not in seen.vague:
            book.open[key] = _alert(condition)
            work.begun.append(book.open[key])
    return work


def _alert(condition: Condition) -> Alert:
    return Alert(
        kind=condition.kind.value,
        subject=condition.subject,
        pool=condition.pool,
        detail=condition.detail,
        begun_at=condition.since,
    )


def _tell(work: _Work, seen: Seen, book: _Book, now: datetime) -> None:
    """What channels are to be told by now."""
    sure = [alert for key, alert in book.open.items() if key in seen.wrong]
    gone = [telling for (_, key), telling in book.standing.items() if key not in book.open]
    last = _last(gone, work.ended)
    for channel in book.channels:
        delay = timedelta(seconds=channel.delay_s)
        for alert in sure:
            key = (alert.kind, alert.subject)
            stands = (channel.pk, key) in book.standing
            if not stands and now - alert.begun_at >= delay and book.wants(channel, alert):
                telling = _telling(channel, alert, Phase.BEGUN, alert.begun_at, now)
                telling.stands = True
                work.told.append(telling)
                book.waiting[channel.pk].append(telling)
    delays = {channel.pk: channel for channel in book.channels}
    for telling in gone:
        channel = delays[telling.channel_id]
        alert = last[telling.alert.kind, telling.alert.subject]
        assert alert.ended_at
        ago = now - alert.ended_at
        if timedelta() - SKEW < ago < timedelta(seconds=channel.delay_s):
            continue
        work.settled.append(telling)
        if channel.tell_end:
            end = _telling(channel, alert, Phase.ENDED, telling.since, now)
            work.told.append(end)
            book.waiting[channel.pk].append(end)


def _last(gone: Iterable[Telling], ended: Iterable[Alert]) -> dict[Key, Alert]:
    """The last alert of each key that is gone: it may have come and gone again untold."""
    found = {(alert.kind, alert.subject): alert for alert in ended}
    others = {(telling.alert.kind, telling.alert.subject): telling.alert for telling in gone}
    missing = [key for key in others if key not in found]
    for chunk in _chunks(missing):
        rows = Alert.objects.filter(subject__in={subject for _, subject in chunk})
        newest = rows.order_by().values("kind", "subject").annotate(newest=Max("pk"))
        for alert in Alert.objects.filter(pk__in=[row["newest"] for row in newest]):
            if (key := (alert.kind, alert.subject)) in others:
                found.setdefault(key, alert)
    return found


def _telling(
    channel: Channel, alert: Alert, phase: Phase, since: datetime, now: datetime
) -> Telling:
    return Telling(channel=channel, alert=alert, phase=phase.value, at=now, since=since)


def _gather(work: _Work, book: _Book, now: datetime) -> None:
    """Messages of what has waited for its channel's digest."""
    for channel in book.channels:
        waiting = book.waiting[channel.pk]
        if not waiting:
            continue
        ago = now - min(telling.at for telling in waiting)
        if timedelta() - SKEW < ago < timedelta(seconds=channel.digest_s):
            continue
        composed = message.compose([_item(telling) for telling in waiting], now)
        delivery = Delivery(
            channel=channel,
            subject=composed.subject,
            text=composed.text,
            payload=composed.payload,
            created_at=now,
            next_at=now,
        )
        work.messages.append((delivery, waiting))


def item_of(alert: Alert, since: datetime | None = None) -> message.Item:
    return message.Item(
        kind=alert.kind,
        subject=alert.subject,
        pool=alert.pool,
        detail=alert.detail,
        begun_at=since or alert.begun_at,
        ended_at=alert.ended_at,
        ending=alert.ending,
    )


def _item(telling: Telling) -> message.Item:
    found = item_of(telling.alert, telling.since)
    if telling.phase == Phase.ENDED:
        return found
    return replace(found, ended_at=None, ending="")


def _write(work: _Work) -> None:
    Alert.objects.bulk_create(work.begun, batch_size=_CHUNK)
    alike: dict[tuple[datetime | None, str], list[int]] = {}
    for alert in work.ended:
        alike.setdefault((alert.ended_at, alert.ending), []).append(alert.pk)
    for (ended_at, ending), ids in alike.items():
        for chunk in _chunks(ids):
            Alert.objects.filter(pk__in=chunk).update(ended_at=ended_at, ending=ending)
    Alert.objects.bulk_update(work.clamped, ["begun_at"], batch_size=_CHUNK)
    for chunk in _chunks(work.dropped):
        Telling.objects.filter(pk__in=chunk).delete()
    for delivery, tellings in work.messages:
        delivery.save()
        for telling in tellings:
            telling.delivery, telling.waits = delivery, False
        old = [telling.pk for telling in tellings if telling.pk]
        for chunk in _chunks(old):
            Telling.objects.filter(pk__in=chunk).update(delivery=delivery, waits=False)
    for chunk in _chunks([telling.pk for telling in work.settled]):
        Telling.objects.filter(pk__in=chunk).update(stands=False)
    Telling.objects.bulk_create(work.told, batch_size=_CHUNK)


def _chunks(items: list[T]) -> Iterator[list[T]]:
    found = iter(items)
    while chunk := list(islice(found, _CHUNK)):
        yield chunk


def _say(work: _Work) -> None:
    """What no line of pools.health says."""
    for alert in work.begun:
        if alert.kind != AlertKind.BACKEND_DOWN:
            logger.warning("%s", item_of(alert).line)
    for alert in work.ended:
        if alert.kind != AlertKind.BACKEND_DOWN:
            logger.info("over: %s", item_of(alert).line)
