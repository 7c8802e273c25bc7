"""Which addresses of the console no test opens as a page, and what the theme is forgiven."""

from __future__ import annotations

# By the name of the address; each with the reason.
NO_PAGE = {
    "set_language": "takes the form of the language switch, and redirects",
    "admin:logout": "takes a form, and shows the page of signing in",
    "admin:search": "a part of a page, of the theme's search that is switched off",
    "admin:jsi18n": "a script",
    "admin:autocomplete": "an answer in JSON",
    "admin:view_on_site": "redirects; no model has an address on a site",
    "admin:password_change_done": "says one sentence after a change of password",
    "admin:app_list": "the index, of one application",
    "admin:pools_channel_test": "takes the form of a button",
    "admin:pools_channel_secret": "takes the form of a button",
    "admin:pools_backend_state": "takes the form of a button",
    "admin:pools_backend_probe": "takes the form of a button; browser tests press it",
    "admin:pools_backend_live": "cells that the list of backends refreshes",
    "admin:pools_pool_live": "cells that the list of pools refreshes",
    "admin:pools_dashboard_live": "parts that the dashboard refreshes",
    "admin:pools_figures": "an answer in JSON, for plots",
    "admin:pools_backend_figures": "an answer in JSON, for plots",
    "admin:pools_revision_followers": "a line that messages refresh",
    "admin:pools_draft_publish": "takes the form of a button",
    "admin:pools_draft_discard": "takes the form of a button",
    "admin:pools_draft_mode": "takes the form of a button",
    "admin:pools_draft_add": "the draft has one page, its list",
    "admin:pools_draft_change": "the draft has one page, its list",
    "admin:pools_draft_delete": "the draft has one page, its list",
    "admin:pools_draft_history": "the draft has one page, its list",
    "admin:pools_auditentry_add": "nobody adds what happened",
    "admin:pools_auditentry_delete": "nobody deletes what happened",
    "code": "asks who has given a password alone; browser tests sign in by it",
    "alive": "an answer for load balancers and containers",
    "ready": "an answer for load balancers and containers",
    "admin:pools_alert_add": "nobody adds what happened",
    "admin:pools_alert_delete": "nobody deletes what happened",
    "admin:pools_delivery_add": "nobody adds what happened",
    "admin:pools_delivery_delete": "nobody deletes what happened",
    "admin:pools_healthevent_add": "nobody adds what happened",
    "admin:pools_healthevent_delete": "nobody deletes what happened",
    "admin:pools_revision_add": "nobody adds what happened",
    "admin:pools_revision_delete": "nobody deletes what happened",
}

# Rules of axe that parts of pages break, by a piece of their HTML; each with the reason.
FORGIVEN = {
    ("aria-prohibited-attr", "help-tooltip search-label-icon"): (
        "made by SelectFilter2.js of Django, which gives a span without a role a label"
    ),
}
