"""publish: one way into force, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pools.control import apply, compile, publish
from pools.core import codec
from pools.core.errors import DocumentError
from pools.models import Backend, Pool, PublishedState, Revision, Route

pytestmark = pytest.mark.django_db


def state() -> PublishedState:
    return PublishedState.objects.get()


def test_a_change_becomes_the_next_revision_with_who_and_why(django_user_model):
    user = django_user_model.objects.create(username="ann")
    with publish.change(who="ann", user=user, why="more room") as outcome:
        Pool.objects.create(name="web")
    revision = Revision.objects.get()
    assert outcome.revision == revision
    assert (revision.number, revision.who, revision.user, revision.why) == (
        1,
        "ann",
        user,
        "more room",
    )
    assert codec.parse(revision.document) == compile.document()
    assert state().revision == 1


def test_a_change_that_changes_nothing_is_no_revision():
    with publish.change(who="ann"):
        pool = Pool.objects.create(name="web")
    with publish.change(who="ann") as outcome:
        pool.save()
    assert outcome.revision is None
    assert Revision.objects.count() == 1


def test_nothing_configured_is_no_revision():
    with publish.change(who="ann") as outcome:
        pass
    assert outcome.revision is None
    assert state().revision == 0


def test_what_does_not_hold_is_refused_and_rolled_back():
    with publish.change(who="ann"):
        pool = Pool.objects.create(name="web")
    with pytest.raises(DocumentError) as caught, publish.change(who="ann"):
        Pool.objects.create(name="other")
        Backend.objects.create(pool=pool, host="10.0.0.1", port=70000)
    assert str(caught.value) == (
        "pools[web].backends[10.0.0.1:70000].port: 70000 is not a port: use 1 to 65535"
    )
    assert list(Pool.objects.values_list("name", flat=True)) == ["web"]
    assert state().revision == 1


def test_a_route_that_claims_the_admin_is_refused_when_published():
    with pytest.raises(DocumentError) as caught, publish.change(who="ann"):
        pool = Pool.objects.create(name="web")
        Route.objects.create(name="steal", pool=pool, path_prefix="/admin/login")
    assert str(caught.value).startswith("routes[steal].path_prefix: /admin/login is the admin")


def test_an_error_of_the_caller_rolls_back_too():
    with pytest.raises(RuntimeError), publish.change(who="ann"):
        Pool.objects.create(name="web")
        raise RuntimeError
    assert not Pool.objects.exists()


def test_rows_changed_behind_its_back_are_published_by_the_periodic_compare():
    with publish.change(who="ann"):
        Pool.objects.create(name="web")
    assert publish.publish_pending() is None
    Pool.objects.update(slow_start_s=3)
    revision = publish.publish_pending()
    assert revision is not None
    assert revision.number == 2
    assert revision.document["pools"][0]["slow_start_s"] == 3
    assert publish.publish_pending() is None


def test_rows_that_are_what_they_were_are_not_compiled_again(monkeypatch):
    with publish.change(who="ann"):
        Pool.objects.create(name="web")
    compiled = []
    document = compile.document
    monkeypatch.setattr(compile, "document", lambda: compiled.append(1) or document())
    for _ in range(3):
        assert publish.publish_pending() is None
    assert len(compiled) == 1
    Pool.objects.update(policy="luck")  # does not hold
    for _ in range(3):
        assert publish.publish_pending() is None
    assert len(compiled) == 2


@pytest.mark.parametrize(
    ("model", "value"),
    [(Pool, {"slow_start_s": 7}), (Backend, {"weight": 7}), (Route, {"name": "b"})],
)
def test_every_table_counts_for_the_compare(model, value):
    before = publish.rows_digest()
    pool = Pool.objects.create(name="web")
    Backend.objects.create(pool=pool, host="a", port=1)
    Route.objects.create(name="all", pool=pool)
    made = publish.rows_digest()
    model.objects.update(**value)
    assert len({before, made, publish.rows_digest()}) == 3
    assert publish.rows_digest() == publish.rows_digest()


def test_rows_spoilt_behind_its_back_stay_unpublished_and_are_complained_of_once(caplog):
    with publish.change(who="ann"):
        Pool.objects.create(name="web")
    Pool.objects.update(policy="luck")
    assert publish.publish_pending() is None
    assert publish.publish_pending() is None
    assert [record.getMessage() for record in caplog.records] == [
        "the configuration in the database does not hold: pools[web].policy: 'luck' is not "
        "one of 'round_robin', 'least_requests', 'power_of_two', 'random' or 'consistent_hash'"
    ]
    assert state().revision == 1
    Pool.objects.update(policy="random")
    assert publish.publish_pending() is not None


def test_a_revision_that_can_no_longer_be_read_is_replaced():
    with publish.change(who="ann"):
        Pool.objects.create(name="web")
    Revision.objects.update(document={"pools": [{"name": "web", "gone_since": 1}]})
    with publish.change(who="ann") as outcome:
        pass
    assert outcome.revision is not None
    assert outcome.revision.number == 2


def test_health_has_its_own_version():
    publish.health_changed()
    publish.health_changed()
    assert (state().revision, state().health_version) == (0, 2)


def test_publishers_at_once_lose_nothing_and_share_no_number(database_url, tmp_path):
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "proxysite.settings",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.control.publishers"],
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "numbers": list(range(1, 41)),
        "pools": 40,
        "published": 40,
        "health_version": 40,
    }


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.sqlite3"
        return
    server = request.getfixturevalue("postgres_url")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE publishers")
        yield server.rpartition("/")[0] + "/publishers"
        admin.execute("DROP DATABASE publishers")


def test_applying_is_published_as_one_revision():
    wanted = codec.parse({"pools": [{"name": "a"}, {"name": "b"}]})
    with publish.change(who="file") as outcome:
        apply.apply(wanted)
    assert outcome.revision is not None
    assert outcome.revision.number == 1
