"""The app that other projects mount."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PoolsConfig(AppConfig):
    name = "pools"
    verbose_name = _("Proxy")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from pools import checks  # noqa: F401  (registers the checks)
        from pools.control import roles

        # Any app's turn is late enough: each comes after the last migration.
        post_migrate.connect(roles.make, sender=self, dispatch_uid="pools.roles")
