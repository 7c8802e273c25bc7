"""How the console looks and what its side bar leads to (django-unfold's settings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _may_view(permission: str) -> Callable[[HttpRequest], bool]:
    def may(request: HttpRequest) -> bool:
        app, _dot, model = permission.partition(".")
        return any(
            request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change")
        )

    return may


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    """An entry for a model, "pools.pool", shown to who may see its rows."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"),
        "permission": _may_view(model),
    }


# Blue, so that green, amber and red are left to health.
_BLUE = {
    "50": "oklch(97% .014 254.604)",
    "100": "oklch(93.2% .032 255.585)",
    "200": "oklch(88.2% .059 254.128)",
    "300": "oklch(80.9% .105 251.813)",
    "400": "oklch(70.7% .165 254.624)",
    "500": "oklch(62.3% .214 259.815)",
    "600": "oklch(54.6% .245 262.881)",
    "700": "oklch(48.8% .243 264.376)",
    "800": "oklch(42.4% .199 265.638)",
    "900": "oklch(37.9% .146 265.522)",
    "950": "oklch(28.2% .091 267.935)",
}

# In the page itself: /favicon.ico is a route's, as is all of /.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='none' stroke='%232563eb' stroke-width='2' d='M1 8h5l4-5h5M6 8l4 5h5'/%3E"
    "%3C/svg%3E"
)

UNFOLD = {
    "SITE_TITLE": "proxysite",
    "SITE_HEADER": "proxysite",
    "SITE_SUBHEADER": "Reverse proxy and load balancer",
    "SITE_SYMBOL": "alt_route",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _ICON}],
    "SITE_URL": None,  # what is at / is a route's, not the console's
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {"primary": _BLUE},
    "ACCOUNT": {
        "navigation": [
            {"title": _("Change password"), "link": reverse_lazy("admin:password_change")},
            {"title": _("One-time codes"), "link": reverse_lazy("codes")},
        ],
    },
    "SIDEBAR": {
        "navigation": [
            {
                "title": "Traffic",
                "items": [
                    _item("Pools", "hub", "pools.pool"),
                    _item("Backends", "dns", "pools.backend"),
                    _item("Routing rules", "alt_route", "pools.route"),
                ],
            },
            {
                "title": "Notifications",
                "items": [
                    _item("Alerts", "notification_important", "pools.alert"),
                    _item("Channels", "campaign", "pools.channel"),
                    _item("Deliveries", "outgoing_mail", "pools.delivery"),
                ],
            },
            {
                "title": "What happened",
                "items": [
                    _item("Health events", "monitor_heart", "pools.healthevent"),
                    _item("Revisions", "history", "pools.revision"),
                ],
            },
            {
                "title": "Access",
                "items": [
                    _item("Users", "person", "auth.user"),
                    _item("Groups", "group", "auth.group"),
                    _item("Teams", "groups", "pools.team"),
                    _item("Audit log", "policy", "pools.auditentry"),
                ],
            },
        ],
    },
}
