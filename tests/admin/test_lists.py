"""Lists of pools and backends: dense, filtered by the database, alive."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from pools.control import figures
from pools.control.figures import Figures, Rates
from pools.models import (
    Alert,
    Backend,
    BackendHealth,
    HealthEvent,
    LatencyBucket,
    Pool,
    ProbeSchedule,
    Process,
    Route,
)

BUSY = Rates(
    requests_per_s=123.4,
    error_share=0.031,
    p50_ms=3.26,
    p99_ms=1260.0,
    retries_per_s=2.5,
    in_flight=7,
)


@pytest.fixture
def carried(monkeypatch) -> None:
    """Traffic of pool web and of its first backend."""
    found = Figures(pools={"web": BUSY}, backends={"web/10.0.0.1:80": BUSY})
    monkeypatch.setattr(figures, "latest", lambda: found)


def probed(pool: Pool, **verdicts: str) -> None:
    """As a round of probes left a pool: its backends by the last number of their host."""
    now = timezone.now()
    ProbeSchedule.objects.create(pool=pool, next_at=now, done_at=now)
    for backend in pool.backends.all():
        verdict = verdicts.get(f"b{backend.host.rpartition('.')[2]}", "up")
        BackendHealth.objects.create(
            backend=backend,
            verdict=verdict,
            reason="200 in 3 ms",
            code=200,
            latency_ms=3.0,
            since=now - timedelta(hours=2),
        )


def ejected(key: str, *, for_s: float, panic: tuple[str, ...] = ()) -> None:
    """As a gateway tells it."""
    now = timezone.now()
    until = (now + timedelta(seconds=for_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    Process.objects.create(
        kind="gateway",
        name="edge:1",
        started_at=now,
        seen_at=now,
        report={
            "revision": 1,
            "ejected": {key: {"until": until, "why": "5 failed requests"}},
            "panic": list(panic),
        },
    )


def text(client, url: str) -> str:
    """What the page says, without its tags."""
    response = client.get(f"/admin/pools/{url}")
    assert response.status_code == 200
    page = response.content.decode()
    page = page[page.index('id="result_list"') :]
    return " ".join(re.sub(r"<[^>]*>", " ", page.replace("&nbsp;", " ")).split())


def rows(client, url: str) -> list[str]:
    response = client.get(f"/admin/pools/{url}")
    assert response.status_code == 200
    return [str(row) for row in response.context["cl"].result_list]


# --- backends --------------------------------------------------------------------------------


def test_a_backend_shows_all_of_its_state_and_traffic_in_its_row(client, web, carried):
    probed(web, b1="up", b2="down")
    ejected("web/10.0.0.1:80", for_s=500)
    LatencyBucket.objects.create(
        backend=web.backends.get(host="10.0.0.1"),
        begins_at=timezone.now() - timedelta(minutes=5),
        probes=9,
        failures=0,
        mean_ms=4.2,
        worst_ms=8.0,
    )
    said = text(client, "backend/")
    for words in (
        "10.0.0.1:80 web ready drain maint up 2 hours 200 in 3 ms",
        "4.2 ms",
        "ejected by gateway edge:1 for",
        "5 failed requests",
        "123",
        "3.3 ms 1.3 s",
        "▲ 3.1 %",
        "2.5 retries/s",
    ):
        assert words in said


def test_one_that_is_not_ready_has_no_weight_now(client, web):
    web.backends.update(weight=5, state="drain")
    assert "0 / 5" in text(client, "backend/")


def test_what_nothing_is_known_of_is_a_dash_and_no_zero(client, web):
    assert "– – – –" in text(client, "backend/")


def test_down_time_is_of_the_last_day(client, web):
    probed(web)
    backend = web.backends.get(host="10.0.0.1")
    now = timezone.now()
    for hours, old, new in ((20, "unknown", "up"), (5, "up", "down"), (2, "down", "up")):
        at = now - timedelta(hours=hours)
        HealthEvent.objects.create(backend=backend, at=at, old=old, new=new)
    assert "3 h" in text(client, "backend/?q=10.0.0.1")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("trouble=ejected", ["web/10.0.0.1:80"]),
        ("trouble=any", ["web/10.0.0.1:80", "web/10.0.0.2:80"]),
        ("trouble=turning", []),
        ("pool=web", ["web/10.0.0.1:80", "web/10.0.0.2:80"]),
        ("pool=we", ["web/10.0.0.1:80", "web/10.0.0.2:80"]),
        ("pool=spare", []),
        ("pool=x", []),
        ("tag=eu", ["web/10.0.0.1:80", "web/10.0.0.2:80"]),
        ("q=eu", ["web/10.0.0.1:80", "web/10.0.0.2:80"]),
        ("health=down&state=ready", ["web/10.0.0.2:80"]),
        ("health=up&pool=web", ["web/10.0.0.1:80"]),
    ],
)
def test_backends_are_filtered_by_the_database(client, web, query, found):
    Pool.objects.filter(pk=web.pk).update(tags=["eu"])
    probed(web, b2="down")
    ejected("web/10.0.0.1:80", for_s=500)
    assert rows(client, f"backend/?{query}") == found


def test_an_ejection_that_is_over_is_no_trouble(client, web):
    probed(web)
    ejected("web/10.0.0.1:80", for_s=-5)
    assert rows(client, "backend/?trouble=any") == []


def test_the_filter_by_name_keeps_what_else_is_chosen(client, web):
    page = client.get("/admin/pools/backend/?state=ready&q=10&pool=web&p=1").content.decode()
    (form,) = re.findall(r'<div class="pools-filter">.*?</form>', page, re.DOTALL)
    kept = re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', form)
    assert sorted(kept) == [("q", "10"), ("state", "ready")]
    assert '<option value="spare">' in form


def many(pools: int) -> None:
    """Pools with two backends and a route each, all probed."""
    made = Pool.objects.bulk_create(Pool(name=f"p{number:03}") for number in range(pools))
    backends = Backend.objects.bulk_create(
        Backend(pool=pool, host=f"10.1.{n}.{number % 250}", port=80)
        for number, pool in enumerate(made)
        for n in range(2)
    )
    Route.objects.bulk_create(Route(name=pool.name, pool=pool) for pool in made)
    now = timezone.now()
    ProbeSchedule.objects.bulk_create(
        ProbeSchedule(pool=pool, next_at=now, done_at=now) for pool in made
    )
    BackendHealth.objects.bulk_create(
        BackendHealth(backend=backend, verdict="up", since=now) for backend in backends
    )
    HealthEvent.objects.bulk_create(
        HealthEvent(backend=backend, at=now, old="unknown", new="up") for backend in backends
    )


@pytest.mark.parametrize("url", ["backend/", "backend/?trouble=any", "pool/", "pool/?tag=x"])
def test_a_list_of_many_asks_no_more_than_one_of_few(
    client, web, url, django_assert_max_num_queries
):
    many(60)
    with django_assert_max_num_queries(28):
        client.get(f"/admin/pools/{url}")


# --- pools -----------------------------------------------------------------------------------


def test_a_pool_shows_its_backends_traffic_routes_and_alerts(client, web, carried):
    probed(web, b2="down")
    Pool.objects.filter(pk=web.pk).update(tags=["eu", "shop"])
    ejected("web/10.0.0.1:80", for_s=9, panic=("web",))
    Alert.objects.create(
        kind="backend_down", subject="web/x", pool="web", begun_at=timezone.now()
    )
    said = text(client, "pool/")
    for words in (
        "1 of 2 up",
        "panic so many backends are out that health is ignored",
        "Round robin eu shop",
        "api",
        "1 open",
        "▲ 3.1 %",
    ):
        assert words in said


def test_of_many_routes_a_pool_names_the_first(client, web):
    for number in range(6):
        Route.objects.create(name=f"r{number}", pool=web)
    assert "api , r0 , r1 and 4 more" in text(client, "pool/")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("health=some", ["web"]),
        ("health=none", []),
        ("health=empty", ["spare"]),
        ("health=alert", ["web"]),
        ("tag=eu", ["web"]),
        ("q=10.0.0.2", ["web"]),
        ("q=eu", ["web"]),
    ],
)
def test_pools_are_filtered_by_the_database(client, web, query, found):
    Pool.objects.filter(pk=web.pk).update(tags=["eu"])
    probed(web, b2="down")
    Alert.objects.create(
        kind="backend_down", subject="web/x", pool="web", begun_at=timezone.now()
    )
    assert rows(client, f"pool/?{query}") == found


def test_a_pool_with_none_up_is_found(client, web):
    probed(web, b1="down", b2="unknown")
    assert rows(client, "pool/?health=none") == ["web"]


def test_a_pool_shows_its_traffic_and_events(client, web, carried):
    backend = web.backends.get(host="10.0.0.2")
    HealthEvent.objects.create(
        backend=backend, at=timezone.now(), old="up", new="down", reason="refused"
    )
    page = client.get(f"/admin/pools/pool/{web.pk}/change/").content.decode()
    assert (
        'data-plot-url="/admin/pools/pool/dashboard/figures/?pool=web&amp;window=24h"' in page
    )
    assert "10.0.0.2:80" in page and "refused" in page and "123" in page


# --- what goes on by itself ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pool", "backend"])
def test_the_live_cells_are_those_of_the_list(client, web, carried, kind):
    probed(web)
    page = client.get(f"/admin/pools/{kind}/").content.decode()
    (url,) = re.findall(r'data-live-url="([^"]+)"', page)
    fresh = client.get(url)
    assert "no-store" in fresh["Cache-Control"]
    cells = re.compile(r'data-live-cell="([^"]+)"')
    shown = cells.findall(page[page.index('id="result_list"') :])
    assert sorted(cells.findall(fresh.content.decode())) == sorted(shown)
    assert len(shown) == len(set(shown)) >= 8


def test_live_cells_are_for_who_may_see_and_of_rows_that_there_are(web, client, ann):
    ann.is_superuser = False
    ann.is_staff = True
    ann.save()
    assert client.get("/admin/pools/backend/live/?rows=1").status_code == 403
    ann.is_superuser = True
    ann.save()
    for rows_ in ("", "x,1e9", "9" * 30, "1," * 500):
        assert client.get(f"/admin/pools/backend/live/?rows={rows_}").status_code == 200


def test_the_page_of_a_backend_asks_for_each_thing_once(
    client, web, django_assert_max_num_queries
):
    probed(web)
    with django_assert_max_num_queries(28):
        client.get(f"/admin/pools/backend/{web.backends.order_by('pk')[0].pk}/change/")
