"""Settings of a project that has Django's own admin, as it comes, and no unfold."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.admin" if name.endswith("ConsoleConfig") else name
    for name in INSTALLED_APPS  # noqa: F405
    if name != "unfold"
]
# What is of this project alone: sign-in, one-time codes, the content security policy.
_OWN = ("axes", "csp", "django_otp", "proxysite")
INSTALLED_APPS = [name for name in INSTALLED_APPS if not name.startswith(_OWN)]
MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith(_OWN)]  # noqa: F405
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
ROOT_URLCONF = "tests.admin.plain_urls"
TEMPLATES = [{**TEMPLATES[0], "DIRS": []}]  # noqa: F405  (those of the project are unfold's)
