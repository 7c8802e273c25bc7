"""A signed POST, as Standard Webhooks has it (standardwebhooks.com).

The id and the body of a message are the same in each attempt, so that who gets it twice
can tell; the time and so the signature are the attempt's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from pools.models import Channel, Delivery
from pools.models.channel import SECRET_PREFIX
from pools.notify.senders.errors import SendError
from pools.notify.senders.posting import post


def send(channel: Channel, delivery: Delivery, now: datetime) -> str:
    content = body(delivery.payload)
    timestamp = str(int(now.timestamp()))
    headers = {
        "Webhook-Id": delivery.uid,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": signature(channel.secret, delivery.uid, timestamp, content),
    }
    return post(channel.url, content, headers)


def body(payload: dict[str, Any]) -> bytes:
    """The same bytes each time, however a database orders the keys."""
    return json.dumps(
        payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()


def signature(secret: str, uid: str, timestamp: str, content: bytes) -> str:
    """ "v1,<base64 of HMAC-SHA256>"; raises SendError where the secret cannot be read."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SendError("the signing secret cannot be read: make a new one") from None
    signed = f"{uid}.{timestamp}.".encode() + content
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
