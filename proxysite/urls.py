"""The control plane: the admin, and what load balancers and containers ask about us."""

from django.contrib import admin
from django.urls import path
from django.views.i18n import set_language

admin.autodiscover()  # apps.py says why here

# Two of them change what is there.
from proxysite import accounts, codes, dashboard, views  # noqa: E402, F401

urlpatterns = [
    path("admin/language/", set_language, name="set_language"),
    path("admin/code/", codes.ask, name="code"),
    path("admin/codes/", admin.site.admin_view(codes.manage), name="codes"),
    path("admin/", admin.site.urls),
    path("-/healthz", views.alive, name="alive"),
    path("-/readyz", views.ready, name="ready"),
]
