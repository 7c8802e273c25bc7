"""How the console looks and what its side bar leads to (django-unfold's settings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise


def _static(name: str) -> Callable[[HttpRequest], str]:
    """The address of a file of ours; asked for when a page is made, as settings are read by
    then."""
    return lambda request: static(f"proxysite/{name}")


def _may_view(permission: str) -> Callable[[HttpRequest], bool]:
    def may(request: HttpRequest) -> bool:
        app, _dot, model = permission.partition(".")
        return any(
            request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change")
        )

    return may


def _may_review(request: HttpRequest) -> bool:
    """Who may see configuration may see its draft."""
    return any(_may_view(f"pools.{kind}")(request) for kind in ("pool", "backend", "route"))


def _item(title: StrPromise, icon: str, model: str) -> dict[str, Any]:
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
    "SITE_SUBHEADER": _("Reverse proxy and load balancer"),
    "SITE_SYMBOL": "alt_route",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _ICON}],
    "SITE_URL": None,  # what is at / is a route's, not the console's
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "STYLES": [_static("console.css")],
    "SCRIPTS": [_static("console.js")],
    "DASHBOARD_CALLBACK": "proxysite.dashboard.context",
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
                "title": _("Traffic"),
                "items": [
                    {
                        "title": _("Dashboard"),
                        "icon": "speed",
                        "link": reverse_lazy("admin:index"),
                    },
                    _item(_("Pools"), "hub", "pools.pool"),
                    _item(_("Backends"), "dns", "pools.backend"),
                    _item(_("Routing rules"), "alt_route", "pools.route"),
                ],
            },
            {
                "title": _("Notifications"),
                "items": [
                    _item(_("Alerts"), "notification_important", "pools.alert"),
                    _item(_("Channels"), "campaign", "pools.channel"),
                    _item(_("Deliveries"), "outgoing_mail", "pools.delivery"),
                ],
            },
            {
                "title": _("What happened"),
                "items": [
                    _item(_("Health events"), "monitor_heart", "pools.healthevent"),
                    _item(_("Revisions"), "history", "pools.revision"),
                    {
                        **_item(_("Draft"), "edit_note", "pools.draft"),
                        "permission": _may_review,
                    },
                ],
            },
            {
                "title": _("Access"),
                "items": [
                    _item(_("Users"), "person", "auth.user"),
                    _item(_("Groups"), "group", "auth.group"),
                    _item(_("Teams"), "groups", "pools.team"),
                    _item(_("Audit log"), "policy", "pools.auditentry"),
                ],
            },
        ],
    },
}
