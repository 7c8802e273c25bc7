"""Sign-in against guessing (django-axes): whose attempts count together, and what is said."""

from __future__ import annotations

import math
from datetime import timedelta

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from pools.control import audit

TOO_MANY = 429


def client_address(request: HttpRequest) -> str | None:
    """As the audit log has it: by TRUSTED_PROXIES."""
    return audit.address(request) or None


def locked_out(
    request: HttpRequest,
    response: HttpResponse | None = None,
    credentials: dict[str, str] | None = None,
) -> HttpResponse:
    """Instead of the form, for who has tried too often: how long to wait, and the mend."""
    name = (credentials or {}).get("username") or request.POST.get("username", "")
    left = _left(name, client_address(request))
    context = {
        **admin.site.each_context(request),
        "login_page": reverse("admin:login"),
        "minutes": max(1, math.ceil(left.total_seconds() / 60)),
        "name": name,
    }
    answer = render(request, "proxysite/locked.html", context, status=TOO_MANY)
    answer["Retry-After"] = str(max(1, math.ceil(left.total_seconds())))
    return answer


def _left(name: str, address: str | None) -> timedelta:
    """How long until attempts of this name from this address count no more."""
    wait: timedelta = settings.AXES_COOLOFF_TIME
    attempts = AccessAttempt.objects.filter(username=name, ip_address=address)
    last = attempts.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
    return last + wait - timezone.now() if last else wait
