"""The control plane: the admin, and what load balancers and containers ask about us."""

from django.contrib import admin
from django.urls import path

admin.autodiscover()  # apps.py says why here

from proxysite import accounts, codes, views  # noqa: E402, F401  (accounts changes what is there)

urlpatterns = [
    path("admin/code/", codes.ask, name="code"),
    path("admin/codes/", admin.site.admin_view(codes.manage), name="codes"),
    path("admin/", admin.site.urls),
    path("-/healthz", views.alive, name="alive"),
    path("-/readyz", views.ready, name="ready"),
]
