"""What happened, to read."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pools.control import publish
from pools.models import Backend, HealthEvent, Pool


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
