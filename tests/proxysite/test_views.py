"""What load balancers ask."""

import pytest
from django.db import OperationalError, connection
from django.test import RequestFactory

from pools.control import watch
from proxysite import views


@pytest.fixture(autouse=True)
def nothing_kept(settings):
    settings.POOLS_POLL_INTERVAL_S = 0
    settings.POOLS_DATA_DIR = None
    watch.stop()
    yield
    watch.stop()


def ready():
    return views.ready(RequestFactory().get("/-/readyz"))


@pytest.mark.django_db
def test_a_process_is_ready_once_it_has_read_what_is_published():
    def away(*args):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(away):
        assert ready().status_code == 503
    assert ready().status_code == 200
    assert ready().content == b"revision 0\n"
