"""Incoming webhooks of Slack, and of Mattermost and Rocket.Chat, which take the same."""

from __future__ import annotations

import json
from datetime import datetime

from pools.models import Channel, Delivery
from pools.notify.senders.posting import post

# Slack: &, < and > are its own. An @ would call people where Mattermost reads the text.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u200b"})


def send(channel: Channel, delivery: Delivery, now: datetime) -> str:
    return post(channel.url, json.dumps({"text": escaped(delivery.text)}).encode())


def escaped(text: str) -> str:
    return text.translate(_ESCAPES)
