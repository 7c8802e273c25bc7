"""What an earlier release stored means the same to this one."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from pools.control import compile
from pools.core import codec


def migrate(name: str | None):
    """The models as of a migration of the app; None: the last one."""
    executor = MigrationExecutor(connection)
    leaves = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] == "pools"]
    executor.migrate([("pools", name)] if name else leaves)
    return MigrationExecutor(connection).loader.project_state([("pools", name or leaves[0][1])])


@pytest.fixture
def released(transactional_db):
    """The tables of the first release."""
    yield migrate("0001_initial").apps
    migrate(None)


def test_rows_of_the_first_release_are_its_document(released):
    pool = released.get_model("pools", "Pool").objects.create(name="web")
    backends = released.get_model("pools", "Backend").objects
    backends.create(pool=pool, host="10.0.0.1", port=80)
    released.get_model("pools", "Route").objects.create(name="all", pool=pool)
    migrate(None)
    plain = {
        "pools": [{"name": "web", "backends": [{"host": "10.0.0.1", "port": 80}]}],
        "routes": [{"name": "all", "pool": "web"}],
    }
    assert compile.document() == codec.parse(plain)
