"""The control plane: the admin, and what load balancers and containers ask about us."""

from django.contrib import admin
from django.urls import path
from django.views.i18n import set_language

admin.autodiscover()  # apps.py says why here

from proxysite import accounts, dashboard, views  # noqa: E402, F401  (two change what is there)

urlpatterns = [
    path("admin/language/", set_language, name="set_language"),
    path("admin/", admin.site.urls),
    path("-/healthz", views.alive),
    path("-/readyz", views.ready),
]
