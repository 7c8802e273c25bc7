import pytest

from pools.wsgi import forwarding
from tests.conformance.backends import Backend


@pytest.fixture
def backend():
    backend = Backend()
    yield backend
    forwarding.idle.clear()
    backend.close()
