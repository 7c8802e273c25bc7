"""A hundred other services, by Apprise (github.com/caronc/apprise).

It is loaded with the first message of such a channel, as it takes a second and 50 MB.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import TYPE_CHECKING

from pools.models import Channel, Delivery
from pools.notify.senders import quiet
from pools.notify.senders.errors import SendError
from pools.notify.senders.posting import TIMEOUT_S

if TYPE_CHECKING:
    from apprise import NotifyBase


def send(channel: Channel, delivery: Delivery, now: datetime) -> str:
    service = _service(channel.url)
    if service is None:
        raise SendError("Apprise does not know this URL")
    service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT_S
    if service.notify(title=delivery.subject, body=delivery.text):
        return f"{service.service_name} took it"
    said = "; ".join(quiet.said()) or "it did not say why"
    raise SendError(f"{service.service_name} did not take it: {said[:300]}")


def known(url: str) -> bool:
    """Whether Apprise knows the service of a URL and finds all it needs in it."""
    with quiet.here():
        return _service(url) is not None


def _service(url: str) -> NotifyBase | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of modules that its plug-ins try
        import apprise

        asset = apprise.AppriseAsset(async_mode=False, http_redirects=False)
        return apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
