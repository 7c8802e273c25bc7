"""The console's first page is the dashboard; importing this makes it so."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from pools.admin.dashboard import pages

admin.site.index_template = pages.PAGE


def context(request: HttpRequest, found: dict[str, Any]) -> dict[str, Any]:
    """What unfold's index shows (UNFOLD["DASHBOARD_CALLBACK"])."""
    return {**found, **pages.context(request, admin.site)}
