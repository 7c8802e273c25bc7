"""Wiring of the project; every value comes from the environment, with a default."""

import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

from django.utils.functional import SimpleLazyObject
from environs import EnvError

from proxysite import environment, security, theme

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    _env = environment.read(BASE_DIR)
except EnvError as error:
    # Whatever starts (manage.py, gunicorn, celery) ends with this one line.
    print(f"{error} (docs/settings.md says what each variable takes)", file=sys.stderr)
    raise SystemExit(2) from None

DATA_DIR = _env.data_dir
BROKER_DIR = DATA_DIR / "broker"  # Celery's messages, where there is no Redis
DEBUG = _env.debug

# Lazy, so that only what signs something makes the key.
SECRET_KEY = _env.secret_key or cast(
    str, SimpleLazyObject(partial(environment.secret_key, DATA_DIR))
)

INSTALLED_APPS = [
    "unfold",
    "proxysite.apps.ConsoleConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "revproxy",
    "pools",
]
MIDDLEWARE = [
    *(["pools.wsgi.middleware.ReverseProxyMiddleware"] if _env.web_proxy else []),
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "proxysite.security.PermissionsPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "proxysite.sessions.IdleMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "pools.admin.acting.ActingMiddleware",
    "proxysite.codes.SecondStepMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "pools.admin.banner.DraftBanner",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it answers for sign-ins that are held back
]
ROOT_URLCONF = "proxysite.urls"
WSGI_APPLICATION = "proxysite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).with_name("templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": _env.database}
# The mail server that notifications go by; without a host there is none.
EMAIL_HOST = _env.email["EMAIL_HOST"]
EMAIL_PORT = _env.email["EMAIL_PORT"]
EMAIL_HOST_USER = _env.email["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _env.email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _env.email["EMAIL_USE_TLS"]
EMAIL_USE_SSL = _env.email["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = _env.email["EMAIL_TIMEOUT"]
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _env.default_from_email
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The admin's hosts; traffic through routes is not limited by them. Loopback stays, for
# health checks from within.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *_env.allowed_hosts]
if _env.admin_host:
    ALLOWED_HOSTS.append(f"[{_env.admin_host}]" if ":" in _env.admin_host else _env.admin_host)
CSRF_TRUSTED_ORIGINS = _env.csrf_trusted_origins

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]

# Guessing: attempts are counted by name and address, so that a stranger locks nobody out.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = _env.sign_in_attempts
AXES_COOLOFF_TIME = timedelta(seconds=_env.sign_in_lock_s)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # who waits is told how long
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "proxysite.signin.client_address"
AXES_LOCKOUT_CALLABLE = "proxysite.signin.locked_out"
AXES_DISABLE_ACCESS_LOG = True  # the audit log has it
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
REQUIRE_CODES = _env.require_codes
OTP_TOTP_ISSUER = "proxysite"
LOGIN_URL = "admin:login"

# Names of our own: a Django application behind the proxy keeps its `sessionid` and
# `csrftoken`, while these never reach it.
SESSION_COOKIE_NAME = "proxysite_sessionid"
CSRF_COOKIE_NAME = "proxysite_csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _env.secure_cookies
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = _env.session_timeout_s  # from the last page on: proxysite/sessions.py

CONTENT_SECURITY_POLICY = security.CONTENT_SECURITY_POLICY
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
# What the admin says of a change would otherwise travel to backends, in a cookie that
# anyone can read.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGIN_REDIRECT_URL = "admin:index"

UNFOLD = theme.UNFOLD

STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).with_name("static")]
WHITENOISE_USE_FINDERS = True  # straight from the apps: nothing to collect
LANGUAGE_CODE = "en"  # also of what is stored and logged, whoever looks at it
LANGUAGES = [("en", "English"), ("ko", "Korean")]
LANGUAGE_COOKIE_NAME = "proxysite_language"
LOCALE_PATHS = [BASE_DIR / "proxysite" / "locale"]  # beside that of pools
USE_TZ = True
TIME_ZONE = "UTC"

POOLS_DATA_DIR = DATA_DIR
POOLS_REDIS_URL = _env.redis_url
POOLS_TRUSTED_PROXIES = _env.trusted_proxies
POOLS_ADMIN_HOST = _env.admin_host
POOLS_RESERVED_PATHS = ["/admin", "/static", "/-"]
POOLS_FALLTHROUGH = False
POOLS_CLIENT_HEADER_TIMEOUT_S = _env.client_header_timeout_s
POOLS_CLIENT_BODY_TIMEOUT_S = _env.client_body_timeout_s
POOLS_CLIENT_KEEPALIVE_S = _env.client_keepalive_s
POOLS_CLIENT_SEND_TIMEOUT_S = _env.client_send_timeout_s
POOLS_DRAIN_TIMEOUT_S = _env.drain_timeout_s
POOLS_TUNNEL_DRAIN_TIMEOUT_S = _env.tunnel_drain_timeout_s
POOLS_MAX_CONNECTIONS = _env.max_connections
POOLS_MAX_CONNECTIONS_PER_CLIENT = _env.max_connections_per_client
POOLS_MAX_HEADER_BYTES = _env.max_header_bytes
POOLS_MAX_HEADER_FIELDS = _env.max_header_fields
POOLS_MAX_TARGET_BYTES = _env.max_target_bytes
POOLS_ACCESS_LOG = _env.access_log
POOLS_ACCESS_LOG_FORMAT = _env.access_log_format
POOLS_CERTIFICATES = _env.certificates
POOLS_STAGED = _env.staged

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"brief": {"()": "proxysite.logs.Brief"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["brief"],
        }
    },
    "root": {"handlers": ["console"], "level": _env.log_level},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR"},  # a line for each 404 is the access log's
        "axes": {"level": "ERROR"},  # sign-ins are in the audit log
        "revproxy": {"level": "WARNING"},  # says at info that it made a view, each time
        # Beat says that it sends a task, a worker that it took and ended one: each second.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.consumer": {"level": "ERROR"},  # proxysite.workers says it, once
        "celery.worker.request": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
