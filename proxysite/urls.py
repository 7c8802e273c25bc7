"""The control plane: the admin, and what load balancers and containers ask about us."""

from django.contrib import admin
from django.urls import path

from proxysite import accounts, views  # noqa: F401  (accounts registers its pages)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("-/healthz", views.alive),
    path("-/readyz", views.ready),
]
