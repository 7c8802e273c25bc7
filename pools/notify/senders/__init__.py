"""One small file a kind of channel: each sends one message or says why not.

They touch no database and may be called in any thread.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import unquote, urlsplit

from pools.models import Channel, Delivery
from pools.models.channel import ChannelKind
from pools.notify.senders import email, quiet, services, slack, webhook
from pools.notify.senders.errors import SendError

__all__ = ["SENDERS", "SendError", "send"]

logger = logging.getLogger("pools.notify")

Sender = Callable[[Channel, Delivery, datetime], str]

SENDERS: dict[ChannelKind, Sender] = {
    ChannelKind.EMAIL: email.send,
    ChannelKind.SLACK: slack.send,
    ChannelKind.WEBHOOK: webhook.send,
    ChannelKind.APPRISE: services.send,
}


def send(channel: Channel, delivery: Delivery, now: datetime) -> str:
    """Send it and say what came of it; raises SendError. Neither text holds a secret."""
    with quiet.here():
        try:
            return scrubbed(SENDERS[ChannelKind(channel.kind)](channel, delivery, now), channel)
        except SendError as error:
            why = scrubbed(str(error), channel)
            raise SendError(why, wait_s=error.wait_s) from None
        except Exception as error:  # of whatever a library does not catch itself
            # Not with its text or traceback, which may hold the URL.
            logger.error("channel %s: sending failed by %s", channel, type(error).__name__)
            raise SendError(f"it could not be sent ({type(error).__name__})") from None


def scrubbed(text: str, channel: Channel) -> str:
    """The text without the channel's secrets, should the other side repeat them."""
    for secret in sorted(_secrets(channel), key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _secrets(channel: Channel) -> set[str]:
    if channel.kind == ChannelKind.EMAIL:
        return set()
    found = {channel.url, channel.secret}
    rest = channel.url.partition("://")[2]
    try:
        parts = urlsplit(channel.url)
        if channel.kind != ChannelKind.APPRISE:
            rest = f"{parts.username or ''}/{parts.password or ''}{parts.path}?{parts.query}"
    except ValueError:
        pass
    for part in (rest, *re.split(r"[/?&=:@#]", rest)):
        found |= {part, unquote(part)}
    return {secret for secret in found if len(secret) >= 6}
