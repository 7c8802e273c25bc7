"""The dashboard: the whole proxy on one page, for whoever may see it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from pools.admin import base
from pools.admin.dashboard import parts
from pools.control import figures
from pools.control.figures import Figures
from pools.models import Alert, Backend, BackendHealth, HealthEvent, Pool, Process
from tests.control.test_census import pool

PAGE = "/admin/pools/pool/dashboard/"
LIVE = f"{PAGE}live/"


def tell(kind: str, name: str, *, age_s: float = 0, **report: object) -> None:
    at = timezone.now() - timedelta(seconds=age_s)
    Process.objects.create(kind=kind, name=name, started_at=at, seen_at=at, report=report)


def text(response) -> str:
    """What is read of a page: its words, without its tags."""
    assert response.status_code == 200
    words = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", words)


def names(response) -> list[str]:
    """The pools of the table, in its order."""
    found = re.findall(
        r'<th scope="row"><a href="[^"]+">([^<]+)</a>', response.content.decode()
    )
    return [name for name in found if name]


@pytest.fixture
def counted(monkeypatch):
    """Figures that the test gives."""

    def given(**values: object) -> None:
        monkeypatch.setattr(figures, "latest", lambda: _figures(**values))

    return given


def _figures(total=None, pools=None, connections=0) -> Figures:
    def rates(values):
        return replace(parts.NO_RATES, **values)

    return Figures(
        total=rates(total or {}),
        pools={name: rates(values) for name, values in (pools or {}).items()},
        backends={},
        routes={},
        connections=connections,
    )


@pytest.mark.skipif(
    not base.UNFOLD, reason="a project with an admin of its own keeps its index"
)
def test_it_is_the_first_page_of_the_console(client, web):
    assert "Dashboard" in text(client.get("/admin/"))
    assert f'data-live-url="{LIVE}?window=15m' in client.get("/admin/").content.decode()


@pytest.mark.parametrize("model", ["pool", "backend", "route", "healthevent", "revision"])
def test_every_list_leads_to_it(client, web, model):
    assert f'href="{PAGE}"' in client.get(f"/admin/pools/{model}/").content.decode()


def test_the_figures_of_the_last_minute_are_tiles(client, counted):
    pool("web", "up", "up", "down")
    counted(
        total={"requests_per_s": 1834.2, "p50_ms": 3.44, "p99_ms": 184.0, "error_share": 0.06},
        connections=812,
    )
    found = text(client.get(PAGE))
    assert "Requests 1,834 /s in the last minute p50 3.4 ms half are faster p99 184 ms" in found
    assert "Errors 6.0 % high Backends up 2 of 3 1 down Connections 812" in found


def test_where_there_were_no_requests_nothing_is_made_up(client, counted):
    pool("web", "up")
    counted()
    assert "p50 – ms half are faster p99 – ms 99 % are faster Errors – no requests" in text(
        client.get(PAGE)
    )


def test_pools_have_their_own_figures(client, counted):
    pool("web", "up", "down", "up")
    given = {
        "requests_per_s": 12.34,
        "p50_ms": 5,
        "p99_ms": 50,
        "error_share": 0.0,
        "in_flight": 7,
    }
    counted(pools={"web": given})
    assert "web 2 of 3 up 1 down 12.3 5.0 50 0 % 7 0 0" in text(client.get(PAGE))


def test_those_that_need_somebody_come_first(client, counted):
    pool("fine", "up")
    pool("failing", "up")
    pool("one-down", "up", "up", "down")
    pool("panics", "up", "down", "down")
    pool("empty", "down")
    counted(pools={"failing": {"error_share": 0.5, "requests_per_s": 1.0}})
    order = ["empty", "panics", "one-down", "failing", "fine"]
    assert names(client.get(PAGE)) == order
    assert names(client.get(f"{PAGE}?order=name")) == sorted(order)
    assert names(client.get(f"{PAGE}?order=errors"))[0] == "failing"
    assert names(client.get(f"{PAGE}?order=nonsense")) == order


def test_of_many_pools_the_first_are_shown_and_how_many_there_are(client):
    for number in range(25):
        pool(f"p{number:02}", "up")
    response = client.get(PAGE)
    assert len(names(response)) == parts.POOLS_SHOWN
    assert "Pools 20 of 25" in text(response)


def test_an_empty_installation_says_what_to_do(client):
    found = text(client.get(PAGE))
    assert "No pools yet" in found
    assert "Over time" not in found


def test_processes_tell_what_they_route_by(client, web):
    tell("gateway", "a:1", revision=1)
    tell("gateway", "b:2", revision=0)
    tell("beat", "a:3", idle_s=0, broker="")
    tell("worker", "a:4", idle_s=0, broker="Connection refused")
    tell("web", "c:5", age_s=60, revision=1)
    found = text(client.get(PAGE))
    assert "gateway b:2 1 revision behind 0" in found
    assert "gateway a:1 in force 1" in found
    assert "beat a:3 at work –" in found
    assert "worker a:4 no broker –" in found
    assert "web c:5 gone 1" in found
    assert "60 s ago" in found or "61 s ago" in found
    assert "Revision 1 since" in found
    assert ", test: Set up" in found


def test_open_alerts_and_recent_events_are_told(client, web):
    now = timezone.now()
    Alert.objects.create(kind="pool_empty", subject="web", begun_at=now, detail="all are down")
    Alert.objects.create(kind="pool_empty", subject="old", begun_at=now, ended_at=now)
    HealthEvent.objects.create(
        backend=web.backends.get(host="10.0.0.1"),
        at=now,
        old="up",
        new="down",
        reason="<b>refused",
    )
    found = text(client.get(PAGE))
    assert "Pool empty web" in found
    assert "all are down" in found
    assert "Pool empty old" not in found
    assert "up → down web/10.0.0.1:80" in found
    assert "&lt;b&gt;refused" in found


def test_warnings_stand_on_top_with_their_mend(client, web):
    found = text(client.get(PAGE))
    assert "urgent Nobody probes: no beat has told of itself. Start beat: " in found
    assert found.index("Nobody probes") < found.index("Requests")


# --- what is refreshed -----------------------------------------------------------------------


def test_the_parts_that_change_are_on_the_page_and_in_what_is_fetched(client, web):
    page, fragment = (client.get(url).content.decode() for url in (PAGE, LIVE))
    for part in ("figures", "tables"):
        assert page.count(f'data-live-part="{part}"') == 1
        assert fragment.count(f'data-live-part="{part}"') == 1
    assert "<html" not in fragment
    assert "pools-plot" not in fragment


def test_what_is_fetched_keeps_the_choices_of_the_page(client, web):
    page = client.get(f"{PAGE}?window=7d&order=name").content.decode()
    assert f'data-live-url="{LIVE}?window=7d&amp;order=name"' in page
    assert f'data-plot-url="{PAGE}figures/?window=7d"' in page
    assert 'href="?window=24h&amp;order=name"' in page


def test_pages_hold_no_script_and_no_style_of_their_own(client, web):
    for url in (PAGE, LIVE):
        content = client.get(url).content.decode()
        main = content[content.index("data-live-") :]
        main = main[: main.rindex("</template>")] if "</template>" in main else main
        assert "<script" not in main
        assert " style=" not in main
        assert not re.search(r"\son\w+=", main)


# --- who may see it --------------------------------------------------------------------------


def test_who_may_see_everything_and_change_nothing_sees_it(viewer, web):
    found = text(viewer.get(PAGE))
    assert "Nobody probes" in found
    assert "web" in found


def test_settings_that_are_unwise_are_for_who_may_change_users(client, viewer, web, settings):
    settings.DEBUG = True
    assert "DEBUG is on" in text(client.get(PAGE))
    assert "DEBUG is on" not in text(viewer.get(PAGE))


@pytest.fixture
def newcomer(db, django_user_model) -> Client:
    django_user_model.objects.create(username="new", is_staff=True)
    client = Client()
    client.force_login(django_user_model.objects.get(username="new"))
    return client


def test_who_may_see_no_pools_sees_none(newcomer, web, django_user_model):
    found = newcomer.get(PAGE)
    assert "You may see nothing here yet" in text(found)
    assert "web" not in names(found)
    user = django_user_model.objects.get(username="new")
    user.user_permissions.add(Permission.objects.get(codename="view_alert"))
    Alert.objects.create(kind="pool_empty", subject="web", begun_at=timezone.now())
    found = text(newcomer.get(PAGE))
    assert "Pool empty web" in found
    assert "Nobody probes" not in found


def test_pools_that_somebody_may_not_see_are_neither_listed_nor_counted(
    client, web, monkeypatch
):
    pool("mine", "up")
    page = admin.site.get_model_admin(Pool)
    own = page.get_queryset
    monkeypatch.setattr(page, "get_queryset", lambda request: own(request).filter(name="mine"))
    response = client.get(PAGE)
    assert names(response) == ["mine"]
    assert "Backends up 1 of 1" in text(response)
    assert client.get(f"{PAGE}figures/?pool=mine").status_code == 200
    assert client.get(f"{PAGE}figures/?pool=web").status_code == 404


@pytest.mark.parametrize("url", [PAGE, LIVE, f"{PAGE}figures/"])
def test_nobody_else_gets_in(web, url):
    assert Client().get(url).status_code == 302


# --- what it costs ---------------------------------------------------------------------------


def test_it_costs_a_fixed_number_of_queries(client, django_assert_max_num_queries):
    pools = Pool.objects.bulk_create(
        Pool(name=f"p{number:03}", probe_interval_s=3600) for number in range(100)
    )
    backends = Backend.objects.bulk_create(
        Backend(pool=row, host="10.0.0.1", port=port) for row in pools for port in range(1, 11)
    )
    now = timezone.now()
    BackendHealth.objects.bulk_create(
        BackendHealth(backend=row, verdict="down", certificate_until=now) for row in backends
    )
    HealthEvent.objects.bulk_create(
        HealthEvent(backend=row, at=now, old="up", new="down") for row in backends
    )
    Alert.objects.bulk_create(
        Alert(kind="backend_down", subject=row.key, begun_at=now) for row in backends
    )
    for number in range(40):
        tell("gateway", f"a:{number}", revision=0, panic=["p001"])
    for url in (PAGE, LIVE):
        client.get(url)
        with django_assert_max_num_queries(24):
            response = client.get(url)
        assert len(response.content) < 200_000
