"""What all tests share."""

import atexit
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import migrated, services

# Neither luck nor a slow machine fails a test: its made examples are the same for everybody,
# and bounded by number. `--hypothesis-profile=search` looks for new ones.
BOUNDED = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("same", BOUNDED, derandomize=True)
hypothesis.settings.register_profile("search", BOUNDED, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile("same")

# Who runs the tests in the background may have them ignore it, and their children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What takes longest by itself, first: none of it is what everybody waits for in the end.
LONG = (
    "tests/faults/",
    "tests/prober/",
    "tests/browser/",
    "tests/admin/test_mounting.py",
    "tests/proxysite/test_missing.py",
    "tests/conformance/",
    "tests/serve/",
    "tests/gateway/test_worker.py",
    "tests/notify/test_workers.py",
    "tests/test_package.py",
    "tests/proxysite/",
)
TOGETHER = (
    "tests/browser/test_pages.py",
    "tests/browser/",
    "tests/conformance/",
    "tests/faults/",
)


def pytest_configure() -> None:
    """What the first of these processes makes is all of theirs."""
    if migrated.FOLDER not in os.environ:
        folder = os.environ[migrated.FOLDER] = tempfile.mkdtemp(prefix="migrated-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


class Scheduling(LoadScopeScheduling):
    """A module goes to one worker whole; so does what shares a site of its own processes, or
    each worker would start them."""

    def _split_scope(self, nodeid: str) -> str:
        shared = next((name for name in TOGETHER if nodeid.startswith(name)), None)
        scope: str = shared or super()._split_scope(nodeid)
        return scope


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (at for at, name in enumerate(LONG) if item.nodeid.startswith(name))
        return next(found, len(LONG))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was collected stays: garbage is looked for elsewhere."""
    gc.freeze()


@pytest.fixture
def console_alone(settings) -> None:
    """The admin without the proxy in front of it."""
    proxy = "pools.wsgi.middleware.ReverseProxyMiddleware"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != proxy]


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
