"""The admin as this project has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks

# In this project an administrator of the proxy sees to its users too.
_ACCOUNTS = [
    f"auth.{verb}_{model}"
    for verb in ("view", "add", "change", "delete")
    for model in ("user", "group")
]


class ConsoleConfig(SimpleAdminConfig):
    """Its pages are loaded by who shows them, urls.py, and by who checks them. Processes
    that carry traffic or probe do without: it is a third of their start, and 20 MB."""

    def ready(self) -> None:
        from pools.control import roles
        from proxysite import audited  # noqa: F401  (connects its signals)

        roles.extend(roles.ADMINISTRATOR, _ACCOUNTS)
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_pages, checks.Tags.admin)


def _check_pages(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    admin.autodiscover()
    return check_admin_app(app_configs, **kwargs)
