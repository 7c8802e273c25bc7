"""Where alerts are told: a channel of e-mail, Slack, webhook or another service.

Addresses of services and signing keys are secrets: who holds them can write in somebody's
name. They are on no page in full but for who may change them, and in no log.
"""

from __future__ import annotations

import base64
import secrets
from enum import StrEnum
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, validate_email
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from pools.models.alert import AlertKind
from pools.models.parts import choices
from pools.models.pool import Pool

SECRET_PREFIX = "whsec_"  # Standard Webhooks
_SECRET_BYTES = 32
_DAY_S = 86_400


class ChannelKind(StrEnum):
    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


def new_secret() -> str:
    """A signing key as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def all_kinds() -> list[str]:
    return [kind.value for kind in AlertKind]


class Channel(models.Model):
    """One place to tell of alerts, and of which, and how soon."""

    name = models.CharField(_("name"), max_length=63, unique=True)
    enabled = models.BooleanField(
        _("enabled"),
        default=True,
        help_text=_("Off: nothing is told, and what waits to be sent is given up."),
    )
    kind = models.CharField(
        _("kind"), max_length=16, choices=choices(ChannelKind), default=ChannelKind.EMAIL.value
    )
    recipients = models.TextField(
        _("recipients"), blank=True, default="", help_text=_("For e-mail: one address a line.")
    )
    url = models.CharField(
        _("URL"),
        max_length=2000,
        blank=True,
        default="",
        help_text=_(
            "For Slack: an incoming webhook's. For a webhook: where to post. For "
            "Apprise: the service's, such as ntfy://topic."
        ),
    )
    secret = models.CharField(max_length=200, blank=True, default="", editable=False)
    kinds = models.JSONField(_("alerts"), default=all_kinds)
    every_pool = models.BooleanField(
        _("all pools"),
        default=True,
        help_text=_(
            "Off: only alerts of the pools that are chosen. Certificates of the "
            "gateway belong to no pool."
        ),
    )
    pools = models.ManyToManyField(
        Pool, verbose_name=_("pools"), blank=True, related_name="channels"
    )
    delay_s = models.PositiveIntegerField(
        _("delay (s)"),
        default=30,
        validators=[MaxValueValidator(_DAY_S)],
        help_text=_(
            "An alert is told when it has lasted so long, its end when it has been gone "
            "so long; what comes and goes within is not told. 0: at once."
        ),
    )
    digest_s = models.PositiveIntegerField(
        _("digest (s)"),
        default=0,
        validators=[MaxValueValidator(_DAY_S)],
        help_text=_(
            "What is to be told within so long goes in one message. 0: what comes "
            "together goes together."
        ),
    )
    tell_end = models.BooleanField(
        _("tell when it is over"), default=True, help_text=_("Of alerts that were told.")
    )

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
        """As Django's; a webhook has a signing key, and nothing else has."""
        if self.kind != ChannelKind.WEBHOOK:
            self.secret = ""
        elif not self.secret:
            self.secret = new_secret()
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def clean(self) -> None:
        """Canonical values; each problem at its field, none of them with the URL in it."""
        super().clean()
        errors: dict[str, str] = {}
        if not isinstance(self.kinds, list) or not self.kinds:
            errors["kinds"] = gettext(
                "Choose at least one kind of alert, or switch the channel off."
            )
        elif unknown := [kind for kind in self.kinds if kind not in all_kinds()]:
            errors["kinds"] = gettext("%(kind)s is not a kind of alert.") % {
                "kind": repr(unknown[0])
            }
        # What another kind needs is not kept.
        if self.kind == ChannelKind.EMAIL:
            self.recipients, self.url = "\n".join(self.addresses), ""
            if said := _wrong_recipients(self.addresses):
                errors["recipients"] = said
        else:
            self.recipients, self.url = "", self.url.strip()
            if said := _wrong_url(self.url, self.kind):
                errors["url"] = said
        if errors:
            raise ValidationError(dict(errors))

    @property
    def addresses(self) -> list[str]:
        """The recipients of e-mail, each once."""
        words = self.recipients.replace(",", "\n").splitlines()
        return list(dict.fromkeys(word.strip() for word in words if word.strip()))

    @property
    def where(self) -> str:
        """Whom it reaches, in words that give no secret away."""
        if self.kind == ChannelKind.EMAIL:
            first, *others = self.addresses or ["nobody"]
            return f"{first} and {len(others)} more" if others else first
        return masked(self.url, host=self.kind != ChannelKind.APPRISE)


def masked(url: str, *, host: bool = True) -> str:
    """The URL's scheme and host alone; of some services the host is a key, too."""
    parts = urlsplit(url)
    if not host:
        return f"{parts.scheme}://…"
    try:
        port = f":{parts.port}" if parts.port else ""
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    except ValueError:
        return f"{parts.scheme}://…"
    return f"{parts.scheme}://{name}{port}/…"


def _wrong_recipients(addresses: list[str]) -> str:
    if not addresses:
        return gettext("Give at least one address.")
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError:
            return gettext(
                "%(address)s is not an e-mail address: write one such as ann@example.com."
            ) % {"address": repr(address)}
    return ""


def _wrong_url(url: str, kind: str) -> str:
    if not url:
        return gettext("Give the URL.")
    if any(char.isspace() or not char.isprintable() for char in url):
        return gettext("A URL has no spaces or control characters: copy it anew.")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return _not_http()
    if kind == ChannelKind.APPRISE:
        if "://" in url:
            return ""
        return gettext("Begin it with the service, such as ntfy://topic.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return _not_http()
    return ""


def _not_http() -> str:
    return gettext(
        "This is not a URL to post to: use http:// or https://, a host and a path, such as "
        "https://example.com/hooks/1."
    )
