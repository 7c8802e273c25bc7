"""Settings of a project that has Django's own admin and no unfold."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [name for name in INSTALLED_APPS if name != "unfold"]  # noqa: F405
ROOT_URLCONF = "tests.admin.plain_urls"
