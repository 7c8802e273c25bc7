"""The project's settings as the tests use them: of their own environment and data folder."""

import atexit
import os
import shutil
import tempfile

for _name in (
    "ACCESS_LOG",
    "ACCESS_LOG_FORMAT",
    "ADMIN_HOST",
    "ALLOWED_HOSTS",
    "CERTIFICATES",
    "CLIENT_BODY_TIMEOUT",
    "CLIENT_HEADER_TIMEOUT",
    "CLIENT_KEEPALIVE",
    "CLIENT_SEND_TIMEOUT",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "DEFAULT_FROM_EMAIL",
    "DRAIN_TIMEOUT",
    "EMAIL_URL",
    "LOG_LEVEL",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_CLIENT",
    "MAX_HEADER_BYTES",
    "MAX_HEADER_FIELDS",
    "MAX_TARGET_BYTES",
    "REDIS_URL",
    "REQUIRE_CODES",
    "SECRET_KEY",
    "SECURE_COOKIES",
    "SESSION_TIMEOUT",
    "SIGN_IN_ATTEMPTS",
    "SIGN_IN_LOCK",
    "STAGED",
    "TRUSTED_PROXIES",
    "TUNNEL_DRAIN_TIMEOUT",
    "WEB_PROXY",
):
    os.environ.pop(_name, None)
_folder = os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="proxysite-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

from proxysite.settings import *  # noqa: E402, F403  (needs the environment above)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick, for logins
# A file, as in production: threads of an in-memory SQLite lock each other out of tables.
DATABASES["default"]["TEST"] = {"NAME": f"{_folder}/test.sqlite3"}  # noqa: F405
