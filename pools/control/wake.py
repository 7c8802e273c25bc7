"""Waking the watchers of all processes over Redis, where there is one.

It only makes them look sooner: each polls as well, so that nothing here may fail a save.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache

import redis

from pools import conf
from pools.outage import Outage

logger = logging.getLogger("pools.control")

CHANNEL = "proxysite:wake"
_TIMEOUT_S = 1.0
_LISTEN_S = 0.5  # how soon a listener sees that it is to stop
_FIRST_BACKOFF_S = 0.5
_LAST_BACKOFF_S = 15.0


@cache
def _client(url: str) -> redis.Redis:
    """One for each process; its pool of connections notices a fork by itself."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        health_check_interval=15,
    )


def _outage(doing: str) -> Outage:
    return Outage(
        logger,
        begun=f"{doing}: Redis is away, processes poll",
        over=f"{doing}: Redis is back",
    )


_waking = _outage("wake-up")
_listening = _outage("listening")


def away() -> bool:
    """Whether Redis was away when this process last tried it; False where none is set."""
    return bool(conf.current().redis_url) and (_waking.lasts or _listening.lasts)


def wake() -> None:
    """Make all processes look for a change now. Never raises for Redis' sake."""
    url = conf.current().redis_url
    if not url:
        return
    try:
        _client(url).publish(CHANNEL, "")
    except redis.RedisError as error:
        _waking.begins(error)
    else:
        _waking.over()


def listen(url: str, woken: Callable[[], None], stop: threading.Event) -> None:
    """Call `woken` at each wake-up until `stop`; for a thread of its own.

    Connects again by itself, later and later while Redis is away; `woken` is called
    after each connection too, as a wake-up may have been missed.
    """
    global _listening
    outage = _listening = _outage("listening")
    backoff_s = _FIRST_BACKOFF_S
    while not stop.is_set():
        try:
            channel = _client(url).pubsub(  # type: ignore[no-untyped-call]
                ignore_subscribe_messages=True
            )
            with channel:
                channel.subscribe(CHANNEL)
                outage.over()
                backoff_s = _FIRST_BACKOFF_S
                woken()
                while not stop.is_set():
                    if channel.get_message(timeout=_LISTEN_S):
                        woken()
        except redis.RedisError as error:
            outage.begins(error)
            stop.wait(backoff_s)
            backoff_s = min(backoff_s * 2, _LAST_BACKOFF_S)
