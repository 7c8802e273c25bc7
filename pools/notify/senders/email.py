"""E-mail, by the mail settings of the project."""

from __future__ import annotations

import smtplib
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from pools.models import Channel, Delivery
from pools.notify.senders.errors import SendError
from pools.notify.senders.posting import TIMEOUT_S

PREFIX = "[proxysite] "
SUBJECT_MOST = 150
_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_DUMMY = "django.core.mail.backends.dummy.EmailBackend"


def lacking() -> str:
    """What has to be set before e-mail can be sent, in words; "" if nothing."""
    backend = settings.EMAIL_BACKEND
    if backend == _DUMMY or (backend == _SMTP and not settings.EMAIL_HOST):
        return "e-mail is not set up: give the mail server in EMAIL_URL (docs/settings.md)"
    return ""


def send(channel: Channel, delivery: Delivery, now: datetime) -> str:
    if said := lacking():
        raise SendError(said)
    subject = " ".join(f"{PREFIX}{delivery.subject}".split())
    message = EmailMessage(
        subject=subject if len(subject) <= SUBJECT_MOST else f"{subject[: SUBJECT_MOST - 1]}…",
        body=f"{delivery.text}\n",
        to=channel.addresses,
        headers={
            "Message-ID": f"<{delivery.uid}@proxysite>",
            "Auto-Submitted": "auto-generated",
        },
        connection=get_connection(timeout=settings.EMAIL_TIMEOUT or TIMEOUT_S),
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        (first, *_) = error.recipients
        raise SendError(
            f"the mail server refuses {first}: {_reply(*error.recipients[first])}"
        ) from None
    except smtplib.SMTPResponseException as error:
        raise SendError(
            f"the mail server says {_reply(error.smtp_code, error.smtp_error)}"
        ) from None
    except (smtplib.SMTPServerDisconnected, TimeoutError) as error:
        late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
        why = "timed out talking to the mail server" if late else "the mail server hung up"
        raise SendError(why) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SendError(f"the mail server cannot be reached: {why.lower()}") from None
    count = len(channel.addresses)
    return f"the mail server took it, for {count} {'address' if count == 1 else 'addresses'}"


def _reply(code: int, said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())[:200]}"
