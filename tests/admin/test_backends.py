"""Backends in the admin: seen like a page of statistics, moved many at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pools.control import compile
from pools.models import (
    Backend,
    BackendHealth,
    HealthEvent,
    Pool,
    ProbeSchedule,
    Revision,
)
from tests.admin import browser


@pytest.fixture
def probed(web: Pool) -> Pool:
    """Pool web as a round of probes left it: one backend up, one down."""
    now = timezone.now()
    ProbeSchedule.objects.create(pool=web, next_at=now, done_at=now)
    since = now - timedelta(minutes=5)
    for backend, verdict, reason in zip(
        web.backends.order_by("host"),
        ("up", "down"),
        ("200 in 3 ms", "connection refused"),
        strict=True,
    ):
        BackendHealth.objects.create(
            backend=backend, verdict=verdict, reason=reason, since=since
        )
    return web


def shown(client, query: str = "") -> list[str]:
    """The addresses that the list shows."""
    response = client.get(f"/admin/pools/backend/{query}")
    assert response.status_code == 200
    return [row.address for row in response.context["cl"].result_list]


@pytest.mark.parametrize(
    ("action", "state", "why"),
    [
        ("drain", "drain", "Drained web/10.0.0.1:80 and web/10.0.0.2:80"),
        ("maintain", "maint", "Put in maintenance web/10.0.0.1:80 and web/10.0.0.2:80"),
    ],
)
def test_an_action_on_many_is_one_revision(client, web, action, state, why):
    response = browser.act(client, "backend/", action, *web.backends.all())
    assert set(web.backends.values_list("state", flat=True)) == {state}
    assert {backend.state for backend in compile.document().pools[1].backends} == {state}
    revision = Revision.objects.latest()
    assert (revision.number, revision.who, revision.why) == (2, "ann", why)
    (message,) = browser.messages(response)
    assert message.startswith(f"{why}. ")
    assert "Revision 2, " in message


def test_ready_ends_a_drain(client, web):
    backend = web.backends.first()
    browser.act(client, "backend/", "drain", backend)
    browser.act(client, "backend/", "make_ready", *web.backends.all())
    backend.refresh_from_db()
    assert backend.state == "ready"
    assert Revision.objects.latest().why == "Made ready web/10.0.0.1:80"


def test_an_action_that_moves_nothing_says_so_and_is_no_revision(client, web):
    response = browser.act(client, "backend/", "make_ready", *web.backends.all())
    assert browser.messages(response) == ["Nothing to do: their state is ready already."]
    assert Revision.objects.count() == 1


def test_an_action_that_cannot_come_into_force_changes_nothing_and_says_why(client, web):
    Pool.objects.filter(name="spare").update(policy="wrong")
    response = browser.act(client, "backend/", "drain", *web.backends.all())
    assert response.status_code == 302
    (message,) = browser.messages(response)
    assert message.startswith("Nothing was changed: pools[spare].policy: 'wrong' is not one of")
    assert set(web.backends.values_list("state", flat=True)) == {"ready"}


def test_the_list_says_health_with_its_reason_and_since(client, probed):
    page = client.get("/admin/pools/backend/").content.decode()
    assert "connection refused" in page
    assert "5\xa0minutes" in page
    BackendHealth.objects.update(since=timezone.now() - timedelta(seconds=9))
    assert "under a minute" in client.get("/admin/pools/backend/").content.decode()


def test_the_list_is_filtered_by_health_as_it_is_shown(client, probed):
    assert shown(client, "?health=up") == ["10.0.0.1:80"]
    assert shown(client, "?health=down") == ["10.0.0.2:80"]
    assert shown(client, "?health=unknown") == []
    ProbeSchedule.objects.update(done_at=timezone.now() - timedelta(hours=1))
    assert shown(client, "?health=up") == []
    assert shown(client, "?health=unknown") == ["10.0.0.1:80", "10.0.0.2:80"]


def test_backends_are_found_by_host_and_pool(client, web):
    assert shown(client, "?q=0.0.2") == ["10.0.0.2:80"]
    assert len(shown(client, "?q=web")) == 2
    assert shown(client, "?q=spare") == []


def test_a_backend_shows_its_last_events(client, probed):
    backend = probed.backends.first()
    HealthEvent.objects.create(
        backend=backend, at=timezone.now(), old="down", new="up", reason="200 in 8 ms"
    )
    page = client.get(f"/admin/pools/backend/{backend.pk}/change/").content.decode()
    assert "200 in 8 ms" in page


def test_a_backend_of_its_own_page_is_saved_as_a_revision(client, web):
    backend = web.backends.first()
    response = browser.send(client, f"backend/{backend.pk}/change/", weight="7")
    assert response.status_code == 302
    assert Revision.objects.latest().why == "Changed backend web/10.0.0.1:80: weight"


def test_an_address_that_is_in_the_pool_already_is_refused(client, web):
    response = browser.send(
        client, "backend/add/", pool=str(web.pk), host="10.0.0.1", port="80"
    )
    assert browser.errors(response) == {
        "__all__": ["This host and port is in the pool already."]
    }


def test_a_deletion_takes_health_and_events_along(client, probed):
    backend = probed.backends.first()
    HealthEvent.objects.create(backend=backend, at=timezone.now(), old="unknown", new="up")
    response = client.post(f"/admin/pools/backend/{backend.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302
    assert not Backend.objects.filter(pk=backend.pk).exists()
    assert Revision.objects.latest().why == "Deleted backend web/10.0.0.1:80"


def test_more_backends_cost_the_list_no_more_queries(client, probed):
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            shown(client)
        return len(found)

    shown(client)
    before = queries()
    now = timezone.now()
    for number in range(10):
        pool = Pool.objects.create(name=f"more{number}")
        backend = Backend.objects.create(pool=pool, host="10.0.0.9", port=80)
        BackendHealth.objects.create(backend=backend, verdict="up", since=now)
        ProbeSchedule.objects.create(pool=pool, next_at=now, done_at=now)
    # The filter by pool lists pools in one query of its own.
    assert queries() == before
