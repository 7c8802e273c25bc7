"""One-time codes (django-otp): a second proof at sign-in, which each user may turn on.

Rules:
- After the password, who has codes turned on gets nowhere but to the page that asks for one.
- A device counts once a code of it was given. Ten recovery codes come with it, for once each.
- Wrong codes make the device wait, twice as long each time.
- With REQUIRE_CODES, who has none is led to the page that turns them on.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Callable
from typing import Any, cast

import segno
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django_otp import devices_for_user, login
from django_otp.plugins.otp_static.models import (
    StaticDevice,
    StaticToken,
)
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminTextInputWidget  # type: ignore[import-untyped]

from pools.control import audit

RECOVERY_CODES = 10
ISSUER = "proxysite"


class CodeForm(forms.Form):
    """A code of the app, or a recovery code. `devices` are those that may have made it."""

    code = forms.CharField(
        label=gettext_lazy("One-time code"),
        max_length=32,
        error_messages={"required": gettext_lazy("Type the code that your app shows.")},
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )

    def __init__(self, *args: Any, user: User, confirmed: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user
        self._confirmed = confirmed
        self.device: Any = None

    def clean_code(self) -> str:
        code = "".join(self.cleaned_data["code"].split()).lower()
        with transaction.atomic():
            found = [*devices_for_user(self._user, confirmed=self._confirmed, for_verify=True)]
            wait_s = max((_wait_s(device) for device in found), default=0)
            # A code of either kind is told by its form: a wrong one holds up no other device.
            kind = TOTPDevice if code.isdigit() else StaticDevice
            asked = [device for device in found if isinstance(device, kind)]
            self.device = next((device for device in asked if device.verify_token(code)), None)
        if self.device is None:
            audit.record("gave a wrong one-time code", kind="user", name=str(self._user))
            raise forms.ValidationError(_not_taken(wait_s))
        return code


def _wait_s(device: Any) -> int:
    """How many seconds nothing is taken yet, after wrong codes."""
    allowed, told = device.verify_is_allowed()
    until = None if allowed else (told or {}).get("locked_until")
    return max(1, round((until - timezone.now()).total_seconds())) if until else 0


def _not_taken(wait_s: int) -> str:
    if wait_s:
        return ngettext(
            "Too many wrong codes: wait %(count)d second, then type a new one.",
            "Too many wrong codes: wait %(count)d seconds, then type a new one.",
            wait_s,
        ) % {"count": wait_s}
    return _("This code is not right. Type the one that your app shows now; each is good once.")


def turned_on(user: Any) -> bool:
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def turn_off(user: Any) -> None:
    """Forget a user's devices, recovery codes with them."""
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user).delete()
        StaticDevice.objects.filter(user=user).delete()
        audit.record("turned one-time codes off", kind="user", name=user.get_username())


def recovery_left(user: Any) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


@sensitive_post_parameters("code")
@never_cache
@login_required
def ask(request: HttpRequest) -> HttpResponse:
    """The page after the password: the code, and then where the user wanted to go."""
    user = cast("User", request.user)
    after = _after(request)
    if user.is_verified() or not turned_on(user):  # type: ignore[attr-defined]
        return redirect(after)
    form = CodeForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        request.session.cycle_key()
        login(request, form.device)
        recovered = isinstance(form.device, StaticDevice)
        done = "used a recovery code" if recovered else "gave a one-time code"
        audit.record(done, kind="user", name=user.get_username())
        if recovered:
            messages.warning(request, _left(recovery_left(user)))
        return redirect(after)
    context = {**admin.site.each_context(request), "form": form, "next": after}
    return render(request, "proxysite/code.html", {**context, "title": _("One-time code")})


@sensitive_post_parameters("code")
@never_cache
def manage(request: HttpRequest) -> HttpResponse:
    """A user's own page: turn codes on and off, and get new recovery codes."""
    user = cast("User", request.user)
    on = turned_on(user)
    step = request.POST.get("step", "")
    form = CodeForm(
        request.POST if step in ("confirm", "off", "recovery") else None,
        user=user,
        confirmed=on,
    )
    if step == "begin" and not on:
        _begin(user)
        return redirect("codes")
    fresh: list[str] = []
    if step == "confirm" and not on and form.is_valid():
        fresh = _confirm(request, user, form.device)
        on = True
    elif step == "off" and on and form.is_valid():
        turn_off(user)
        messages.success(request, _("One-time codes are off."))
        return redirect("codes")
    elif step == "recovery" and on and form.is_valid():
        fresh = _recovery(user)
        audit.record("made new recovery codes", kind="user", name=user.get_username())
    pending = None if on else TOTPDevice.objects.filter(user=user, confirmed=False).first()
    context = {
        **admin.site.each_context(request),
        "title": _("One-time codes"),
        "on": on,
        "form": form,
        "failed": step if form.errors else "",
        "fresh": fresh,
        "left": recovery_left(user),
        "required": settings.REQUIRE_CODES,
        **(_shown(pending) if pending else {}),
    }
    return render(request, "proxysite/codes.html", context)


def _begin(user: User) -> None:
    """A new key that is not in use yet; one begun before is forgotten."""
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        TOTPDevice.objects.create(user=user, name="app", confirmed=False)


def _confirm(request: HttpRequest, user: User, device: TOTPDevice) -> list[str]:
    with transaction.atomic():
        device.confirmed = True
        device.save(update_fields=["confirmed"])
        fresh = _recovery(user)
        audit.record("turned one-time codes on", kind="user", name=user.get_username())
    login(request, device)
    return fresh


def _recovery(user: User) -> list[str]:
    """Ten codes in place of those that there were; they are shown this once."""
    fresh = [str(StaticToken.random_token()) for _number in range(RECOVERY_CODES)]
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        device = StaticDevice.objects.create(user=user, name="recovery", confirmed=True)
        StaticToken.objects.bulk_create(StaticToken(device=device, token=one) for one in fresh)
    return fresh


def _shown(device: TOTPDevice) -> dict[str, str]:
    """The key of a new device, as a picture for a camera and as text to type."""
    key = b32encode(device.bin_key).decode().rstrip("=")
    image = segno.make(device.config_url, error="m")
    return {
        # As its own image, black on white, in dark pages too: cameras want it so.
        "picture": image.svg_data_uri(scale=4, border=3, light="#fff", dark="#000"),
        "key": " ".join(key[at : at + 4] for at in range(0, len(key), 4)),
    }


def _left(count: int) -> str:
    return ngettext(
        "That was a recovery code: %(count)d is left.",
        "That was a recovery code: %(count)d are left.",
        count,
    ) % {"count": count}


def _after(request: HttpRequest) -> str:
    """Where the user wanted to go; never to another host."""
    found = request.POST.get("next") or request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        found, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return found if safe else reverse("admin:index")


class SecondStepMiddleware:
    """Keeps who has given a password alone from everything else; behind OTPMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        page = self._lacking(request)
        if page and request.path not in (reverse(page), *map(reverse, _OPEN)):
            here = request.get_full_path() if request.method == "GET" else ""
            return redirect(reverse(page, query={"next": here} if here else None))
        return self._get_response(request)

    def _lacking(self, request: HttpRequest) -> str:
        """The page that this user has to see first; "" for none."""
        user: Any = request.user
        if not user.is_authenticated or user.is_verified():
            return ""
        if turned_on(user):
            return "code"
        return "codes" if settings.REQUIRE_CODES and user.is_staff else ""


# What is there before the second step; each checks by itself whom it serves.
_OPEN = ("admin:login", "admin:logout", "admin:jsi18n", "set_language", "alive", "ready")
