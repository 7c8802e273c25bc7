"""publish: one way into force, whole or not at all."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

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


@pytest.mark.django_db(transaction=True)
def test_publishers_at_once_lose_nothing_and_share_no_number():
    failed: list[BaseException] = []
    start = threading.Barrier(4)

    def add(name: str) -> None:
        try:
            start.wait(10)
            for turn in range(5):
                with publish.change(who=name):
                    Pool.objects.create(name=f"{name}-{turn}")
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=(f"p{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert sorted(Revision.objects.values_list("number", flat=True)) == list(range(1, 21))
    assert len(compile.document().pools) == 20
    assert state().revision == 20
    newest = Revision.objects.get(number=20)
    assert codec.parse(newest.document) == compile.document()


def test_applying_is_published_as_one_revision():
    wanted = codec.parse({"pools": [{"name": "a"}, {"name": "b"}]})
    with publish.change(who="file") as outcome:
        apply.apply(wanted)
    assert outcome.revision is not None
    assert outcome.revision.number == 1
