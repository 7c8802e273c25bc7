"""Settings of a project that has Django's own admin, as it comes, and no unfold."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.admin" if name.endswith("ConsoleConfig") else name
    for name in INSTALLED_APPS  # noqa: F405
    if name != "unfold"
]
ROOT_URLCONF = "tests.admin.plain_urls"
TEMPLATES = [{**TEMPLATES[0], "DIRS": []}]  # noqa: F405  (those of the project are unfold's)
