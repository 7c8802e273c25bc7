"""What happened, to read."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pools.control import publish
from pools.models import Backend, HealthEvent, Pool, Revision


def shown(client, revision: Revision) -> str:
    response = client.get(f"/admin/pools/revision/{revision.pk}/change/")
    assert response.status_code == 200
    return response.content.decode()


def test_a_revision_shows_what_it_changed(client, web):
    with publish.change(who="ann", why="Weigh") as outcome:
        Backend.objects.filter(host="10.0.0.1").update(weight=5)
        Pool.objects.create(name="more")
    page = shown(client, outcome.revision)
    assert "~ pools[web].backends[10.0.0.1:80].weight: 1 -&gt; 5" in page
    assert "+ pools[more]" in page
    assert "- pools" not in page


def test_the_first_revision_shows_all_as_added(client, web):
    page = shown(client, Revision.objects.get())
    assert "+ pools[web].backends[10.0.0.2:80]" in page
    assert "+ routes[api]" in page


def test_a_revision_is_compared_with_the_one_before_that_is_kept(client, web):
    with publish.change(who="ann"):
        Backend.objects.filter(host="10.0.0.1").update(weight=5)
    with publish.change(who="ann") as outcome:
        Backend.objects.filter(host="10.0.0.1").update(weight=6)
    Revision.objects.filter(number=2).delete()
    assert ".weight: 1 -&gt; 6" in shown(client, outcome.revision)


def test_a_revision_that_this_version_cannot_read_is_shown_without_its_changes(client, web):
    revision = Revision.objects.get()
    Revision.objects.update(document={"pools": "of another age"})
    assert "cannot be compared" in shown(client, revision)


def test_the_oldest_that_is_kept_is_not_shown_as_the_first(client, web):
    with publish.change(who="ann") as outcome:
        Pool.objects.create(name="more")
    Revision.objects.filter(number=1).delete()
    page = shown(client, outcome.revision)
    assert "no longer kept" in page
    assert "+ pools" not in page


def test_the_list_reads_no_document(client, web):
    with CaptureQueriesContext(connection) as found:
        client.get("/admin/pools/revision/")
    rows = [query["sql"] for query in found if 'FROM "pools_revision"' in query["sql"]]
    assert any('"who"' in sql for sql in rows)
    assert not any('"document"' in sql for sql in rows)


def test_a_page_reads_the_two_documents_that_it_compares(client, web):
    for weight in (5, 6, 7):
        with publish.change(who="ann") as outcome:
            Backend.objects.filter(host="10.0.0.1").update(weight=weight)
    with CaptureQueriesContext(connection) as found:
        shown(client, outcome.revision)
    assert sum('"document"' in query["sql"] for query in found) == 2


def test_the_list_names_who_and_why(client, web):
    page = client.get("/admin/pools/revision/").content.decode()
    assert "Set up" in page


@pytest.mark.parametrize("model", ["healthevent", "revision"])
def test_more_of_it_costs_the_list_no_more_queries(client, web, model):
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(f"/admin/pools/{model}/").status_code == 200
        return len(found)

    def more(number: int) -> None:
        pool = Pool.objects.create(name=f"more{number}")
        backend = Backend.objects.create(pool=pool, host="10.0.0.9", port=80)
        HealthEvent.objects.create(backend=backend, at=timezone.now(), old="up", new="down")
        publish.publish_pending()

    more(0)
    queries()
    before = queries()
    for number in range(1, 6):
        more(number)
    assert queries() == before


def test_an_event_says_from_what_to_what_and_why(client, web):
    HealthEvent.objects.create(
        backend=web.backends.first(),
        at=timezone.now(),
        old="up",
        new="down",
        reason="connection refused",
        seen_by="worker-1",
    )
    page = client.get("/admin/pools/healthevent/").content.decode()
    for text in ("web/10.0.0.1:80", "connection refused", "worker-1"):
        assert text in page
