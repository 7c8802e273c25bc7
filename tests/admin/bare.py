"""Settings of a project without an admin and without URLs of its own."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "revproxy",
    "pools",
]
MIDDLEWARE: list[str] = []
TEMPLATES: list[object] = []
ROOT_URLCONF = "tests.admin.bare"
urlpatterns: list[object] = []
