"""The app that other projects mount."""

from django.apps import AppConfig


class PoolsConfig(AppConfig):
    name = "pools"
    verbose_name = "Proxy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from pools import checks  # noqa: F401  (registers the checks)
