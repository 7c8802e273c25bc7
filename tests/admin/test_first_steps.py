"""From an empty installation to the first proxied request."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pools.admin.first_steps import curl, first_steps
from pools.control import figures, processes, publish
from pools.control.figures import Figures, Rates, Series
from pools.models import BackendHealth, Pool, ProbeSchedule, Revision, Route
from pools.models.process import ProcessKind

pytestmark = pytest.mark.django_db


def done() -> list[bool]:
    return [step.done for step in first_steps()]


def test_steps_are_ticked_off_as_they_are_done(monkeypatch):
    assert done() == [False] * 4
    with publish.change(who="test"):
        pool = Pool.objects.create(name="web")
        assert done() == [False] * 4
        backend = pool.backends.create(host="10.0.0.1", port=80)
    assert done() == [True, False, False, False]
    now = timezone.now()
    BackendHealth.objects.create(backend=backend, verdict="up")
    assert done()[1] is False  # an old verdict is no news
    ProbeSchedule.objects.create(pool=pool, next_at=now, done_at=now)
    assert done() == [True, True, False, False]
    Route.objects.create(name="all", pool=pool)
    assert done() == [True, True, True, False]
    total = Rates(requests_per_s=0.1)
    monkeypatch.setattr(figures, "latest", lambda: Figures(total=total))
    assert first_steps() == ()


def test_a_request_of_last_week_counts(monkeypatch):
    unknown = [None, None]
    seen = Series(
        times=[3600, 7200],
        width_s=3600,
        requests_per_s=[None, 0.5],
        error_share=unknown,
        p50_ms=unknown,
        p99_ms=unknown,
        connections=unknown,
    )
    monkeypatch.setattr(figures, "series", lambda window, **of: seen)
    assert done()[3] is True


def test_a_backend_that_nobody_probes_counts_as_it_is():
    pool = Pool.objects.create(name="web", probe_kind="off")
    pool.backends.create(host="10.0.0.1", port=80)
    assert done()[:2] == [True, True]


def test_an_installation_that_is_no_longer_new_needs_none(web):
    assert first_steps()
    Revision.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert first_steps() == ()


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        ({}, "curl 'http://s:1/'"),
        ({"path_prefix": "/api"}, "curl 'http://s:1/api'"),
        ({"hosts": ["*.x.org"]}, "curl -H 'Host: www.x.org' 'http://s:1/'"),
        ({"methods": ["PUT"], "path_prefix": "/a'b"}, "curl -X PUT 'http://s:1/a%27b'"),
    ],
)
def test_the_command_that_sends_the_first_request(spec, command):
    assert curl(Route(name="r", **spec), "http://s:1") == command


@pytest.mark.parametrize(
    ("listens", "base"),
    [
        (["https://0.0.0.0:8443", "http://0.0.0.0:8080"], "http://127.0.0.1:8080"),
        (["http://[::]:81"], "http://[::1]:81"),
        (["http://unix:/run/a"], "http://site"),
        ([], "http://site"),
    ],
)
def test_it_goes_to_the_gateway_where_one_runs(listens, base):
    row = processes.Row(ProcessKind.GATEWAY)
    assert row.write({"revision": 1, "listens": listens})
    assert curl(Route(name="r"), "http://site") == f"curl '{base}/'"


def test_a_list_of_pools_without_one_shows_the_steps(client):
    text = client.get("/admin/pools/pool/").content.decode()
    assert "No pools yet" in text and "To your first proxied request" in text
    assert 'href="/admin/pools/pool/add/"' in text


@pytest.mark.parametrize(
    ("model", "title", "link"),
    [
        ("backend", "No backends yet", "pool/add/"),
        ("route", "No routes yet", "pool/add/"),
        ("healthevent", "No events yet", "pool/add/"),
        ("revision", "No revisions yet", "pool/add/"),
        ("alert", "No alerts", "channel/add/"),
        ("channel", "No channels yet", "channel/add/"),
        ("delivery", "Nothing was sent yet", "channel/add/"),
        ("team", "No teams yet", "team/add/"),
    ],
)
def test_a_list_without_rows_says_what_belongs_there(client, viewer, model, title, link):
    text = client.get(f"/admin/pools/{model}/").content.decode()
    assert title in text
    assert f'class="pools-step-button" href="/admin/pools/{link}"' in text
    text = viewer.get(f"/admin/pools/{model}/").content.decode()
    assert title in text and "pools-step-button" not in text


def test_once_there_is_a_pool_the_next_thing_to_add_is_a_route(client):
    Pool.objects.create(name="web")
    text = client.get("/admin/pools/route/").content.decode()
    assert 'class="pools-step-button" href="/admin/pools/route/add/"' in text


def test_a_search_without_result_is_not_an_empty_list(client, web):
    text = client.get("/admin/pools/pool/", {"q": "nothing"}).content.decode()
    assert "No pools yet" not in text


def test_what_they_cost_does_not_grow(django_assert_max_num_queries, web):
    with django_assert_max_num_queries(9):
        first_steps()
