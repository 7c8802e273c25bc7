"""A project as others have it: strict about hosts and bodies, the admin under its own name."""

import os
from pathlib import Path

BASE_DIR = Path(os.environ["DATA_DIR"])
SECRET_KEY = "of the tests"
ALLOWED_HOSTS = ["shop.test"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
ROOT_URLCONF = "tests.mounted.project.urls"
WSGI_APPLICATION = "tests.mounted.project.wsgi.application"
STATIC_URL = "/assets/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "shop.sqlite3",
        "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE"},
    }
}
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "revproxy",
    "pools",
]
MIDDLEWARE = [
    "pools.wsgi.middleware.ReverseProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
POOLS_DATA_DIR = BASE_DIR
