"""What all tests share."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import migrated, services

# Neither luck nor a slow machine fails a test: its made examples are the same for everybody,
# and bounded by number. `--hypothesis-profile=search` looks for new ones.
BOUNDED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", BOUNDED, derandomize=True)
settings.register_profile("search", BOUNDED, max_examples=1000, print_blob=True)
settings.load_profile("same")

# Who runs the tests in the background may have them ignore it, and their children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What takes longest by itself, first: none of it is what everybody waits for in the end.
LONG = (
    "tests/admin/test_mounting.py",
    "tests/proxysite/test_missing.py",
    "tests/prober/",
    "tests/browser/",
    "tests/faults/",
    "tests/serve/",
    "tests/gateway/test_worker.py",
    "tests/notify/test_workers.py",
    "tests/test_package.py",
    "tests/proxysite/",
    "tests/conformance/",
)


def pytest_configure() -> None:
    """What the first of these processes makes is all of theirs."""
    if migrated.FOLDER not in os.environ:
        folder = os.environ[migrated.FOLDER] = tempfile.mkdtemp(prefix="migrated-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (at for at, name in enumerate(LONG) if item.nodeid.startswith(name))
        return next(found, len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis, started where a test first asks for it."""
    with services.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL, started where a test first asks for it."""
    with services.postgres_server() as url:
        yield url
