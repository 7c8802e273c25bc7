"""django-revproxy as its README has it, in a Django without middleware."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import re_path

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["revproxy"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the benchmark",
)
application = get_wsgi_application()

from revproxy.views import ProxyView  # type: ignore[import-untyped]  # noqa: E402

urlpatterns = [re_path(r"^(?P<path>.*)$", ProxyView.as_view(upstream=os.environ["UPSTREAM"]))]
