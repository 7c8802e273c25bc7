"""The project's settings as the tests use them: of their own environment and data folder."""

import atexit
import os
import shutil
import tempfile

for _name in (
    "ADMIN_HOST",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "LOG_LEVEL",
    "REDIS_URL",
    "SECRET_KEY",
    "SECURE_COOKIES",
    "TRUSTED_PROXIES",
):
    os.environ.pop(_name, None)
_folder = os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="proxysite-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

from proxysite.settings import *  # noqa: E402, F403  (needs the environment above)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick, for logins
# A file, as in production: threads of an in-memory SQLite lock each other out of tables.
DATABASES["default"]["TEST"] = {"NAME": f"{_folder}/test.sqlite3"}  # noqa: F405
