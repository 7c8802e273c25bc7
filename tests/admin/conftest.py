from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from pools.control import publish, watch
from pools.control.apply import apply
from pools.core import codec
from pools.models import Pool

DOCUMENT = {
    "pools": [
        {
            "name": "web",
            "backends": [{"host": "10.0.0.1", "port": 80}, {"host": "10.0.0.2", "port": 80}],
        },
        {"name": "spare"},
    ],
    "routes": [{"name": "api", "pool": "web", "path_prefix": "/api"}],
}


@pytest.fixture(autouse=True)
def no_thread_is_left(settings, console_alone) -> Iterator[None]:
    """Watchers look when they are asked to and keep nothing; those of a test end with it."""
    settings.POOLS_POLL_INTERVAL_S = 0
    settings.POOLS_DATA_DIR = None
    yield
    watch.stop()


@pytest.fixture
def ann(db, django_user_model):
    return django_user_model.objects.create_superuser("ann")


@pytest.fixture
def client(ann) -> Client:
    """Ann's browser, logged in; she may do everything."""
    client = Client()
    client.force_login(ann)
    return client


@pytest.fixture
def viewer(db, django_user_model) -> Client:
    """The browser of somebody who may see everything and change nothing."""
    user = django_user_model.objects.create(username="vic", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="pools", codename__startswith="view_")
    )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def web(db) -> Pool:
    """Pool web with two backends and routing rule api; revision 1."""
    with publish.change(who="test", why="Set up"):
        apply(codec.parse(DOCUMENT))
    return Pool.objects.get(name="web")
