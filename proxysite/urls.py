"""The control plane: the admin, and what load balancers and containers ask about us."""

from django.contrib import admin
from django.urls import path

from proxysite import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("-/healthz", views.alive),
    path("-/readyz", views.ready),
]
