"""What all tests share."""

from collections.abc import Iterator

import pytest

from tests import services


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
