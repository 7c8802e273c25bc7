"""The audit log in the console, and secrets on its forms."""

from __future__ import annotations

import pytest

from pools.control import audit
from pools.core.masking import MASK
from pools.models import AuditEntry, Backend, Channel, Route
from tests.admin import browser

KEY = {"X-Api-Key": "SECRETPART", "X-Stage": "beta"}


@pytest.fixture
def route(web) -> Route:
    Route.objects.update(
        request_headers_set=KEY,
        conditions=[{"header": "Authorization", "match": "equals", "value": "SECRETPART"}],
    )
    return Route.objects.get()


def test_a_save_is_told_with_who_from_where_and_what(client, web):
    backend = web.backends.first()
    browser.send(client, f"backend/{backend.pk}/change/", weight="7")
    entry = AuditEntry.objects.filter(action="changed").latest("pk")
    assert (entry.who, entry.user.username, entry.address) == ("ann", "ann", "127.0.0.1")
    assert (entry.kind, entry.name, entry.revision) == ("backend", "web/10.0.0.1:80", 2)
    assert entry.changes == [{"field": "weight", "old": 1, "new": 7}]
    page = client.get("/admin/pools/auditentry/").content.decode()
    assert "backend web/10.0.0.1:80" in page
    assert "<del>1</del> → <ins>7</ins>" in page
    page = client.get(f"/admin/pools/auditentry/{entry.pk}/change/").content.decode()
    assert "<del>1</del> → <ins>7</ins>" in page


def test_actions_are_told_for_each_backend(client, web):
    browser.act(client, "backend/", "drain", *web.backends.all())
    rows = AuditEntry.objects.filter(kind="backend").order_by("name")
    assert [(row.name, row.changes) for row in rows] == [
        (f"web/10.0.0.{number}:80", [{"field": "state", "old": "ready", "new": "drain"}])
        for number in (1, 2)
    ]


def test_channels_are_told_without_their_secrets(client, web):
    url = "https://h.example/SECRETPART"
    typed = {"name": "ops", "kind": "webhook", "url": url}
    browser.send(client, "channel/add/", **typed)
    row = Channel.objects.get()
    browser.send(client, f"channel/{row.pk}/change/", url=f"{url}2", delay_s="60")
    client.post(f"/admin/pools/channel/{row.pk}/secret/")
    client.post(f"/admin/pools/channel/{row.pk}/delete/", {"post": "yes"})
    rows = list(AuditEntry.objects.filter(kind="channel").order_by("pk"))
    assert [row.action for row in rows] == ["added", "changed", "changed", "removed"]
    assert {change["field"]: change["new"] for change in rows[1].changes} == {
        "url": MASK,
        "delay_s": 60,
    }
    assert "SECRETPART" not in str([row.changes for row in rows])


def test_it_is_found_by_words_kinds_and_days(client, web):
    audit.record("signed in", kind="user", name="bob")
    for query, count in (
        ("q=bob", 1),
        ("kind=user&q=bob", 1),
        ("kind=pool", 2),
        ("action=signed+in&q=bob", 1),
        ("action=restored", 0),
        ("q=bob&at__gte=2000-01-01+00%3A00%3A00%2B00%3A00", 1),
    ):
        response = client.get(f"/admin/pools/auditentry/?{query}")
        assert response.status_code == 200, query
        assert response.context["cl"].result_count == count, query


def test_a_long_log_is_listed_by_few_queries(client, web, django_assert_max_num_queries):
    AuditEntry.objects.bulk_create(
        AuditEntry(at=audit.clock.now(), action="changed", kind="pool", name=f"p{number}")
        for number in range(500)
    )
    client.get("/admin/pools/auditentry/")
    with django_assert_max_num_queries(12):
        client.get("/admin/pools/auditentry/")


def test_a_secret_header_is_on_no_page(client, viewer, route):
    url = f"/admin/pools/route/{route.pk}/change/"
    form = browser.form(client, f"route/{route.pk}/change/")
    assert form["request_headers_set"] == [f"X-Api-Key: {MASK}\r\nX-Stage: beta"]
    assert "SECRETPART" not in viewer.get(url).content.decode()


def test_a_mask_that_is_left_keeps_the_value(client, route):
    browser.send(client, f"route/{route.pk}/change/", path_prefix="/v2")
    route.refresh_from_db()
    assert route.request_headers_set == KEY
    response = client.get("/admin/pools/revision/")
    assert "SECRETPART" not in response.content.decode()
    entry = AuditEntry.objects.filter(kind="route", revision__gt=1).latest("pk")
    assert "SECRETPART" not in str(entry.changes)


def test_another_value_takes_the_place_of_a_secret(client, route):
    typed = "x-api-key: new\r\nX-Stage: beta"
    browser.send(client, f"route/{route.pk}/change/", request_headers_set=typed)
    route.refresh_from_db()
    assert {name.lower(): value for name, value in route.request_headers_set.items()} == {
        "x-api-key": "new",
        "x-stage": "beta",
    }


def test_a_mask_with_nothing_behind_it_is_refused(client, route):
    typed = f"X-Api-Key: {MASK}\r\nX-Other-Token: {MASK}"
    response = browser.send(client, f"route/{route.pk}/change/", request_headers_set=typed)
    assert browser.errors(response) == {
        "request_headers_set": ["X-Other-Token: type its value, there is none to keep."]
    }
    route.refresh_from_db()
    assert route.request_headers_set == KEY


def test_probes_headers_are_masked_and_kept(client, web):
    type(web).objects.update(probe_headers={"Authorization": "Bearer SECRETPART"})
    page = f"pool/{web.pk}/change/"
    assert browser.form(client, page)["probe_headers"] == [f"Authorization: {MASK}"]
    browser.send(client, page, connect_timeout_s="9")
    web.refresh_from_db()
    assert (web.probe_headers, web.connect_timeout_s) == (
        {"Authorization": "Bearer SECRETPART"},
        9,
    )


def test_it_is_changed_by_nobody(client, web):
    entry = AuditEntry.objects.first()
    for rest in ("add/", f"{entry.pk}/change/", f"{entry.pk}/delete/"):
        done = client.post(f"/admin/pools/auditentry/{rest}", {"post": "yes"})
        assert done.status_code == 403, rest
    assert Backend.objects.exists()
