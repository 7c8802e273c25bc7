"""Figures over time as pages draw them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from pools.admin import plots
from pools.control import figures
from pools.control.figures import Series
from pools.models import LatencyBucket

FIGURES = "/admin/pools/pool/dashboard/figures/"

SERIES = Series(
    times=[0, 10, 20],
    width_s=10,
    requests_per_s=[None, 12.34567, 0.0],
    error_share=[None, 0.25, None],
    p50_ms=[None, 3.0, None],
    p99_ms=[None, 30.0, None],
    connections=[None, 5, 6],
)


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, dict[str, str]]]:
    """What was asked of the figures."""
    found: list[tuple[str, dict[str, str]]] = []

    def series(window: str, **of: str) -> Series:
        found.append((window, of))
        return SERIES

    monkeypatch.setattr(figures, "series", series)
    return found


def by_title(response) -> dict[str, dict[str, object]]:
    assert response.status_code == 200
    return {chart["title"]: chart for chart in response.json()["charts"]}


def test_all_traffic_is_four_charts(client, web, asked):
    response = client.get(FIGURES, {"window": "24h"})
    charts = by_title(response)
    assert list(charts) == ["Requests", "Latency", "Errors", "Connections"]
    assert charts["Requests"]["times"] == [0, 10, 20]
    assert charts["Requests"]["lines"] == [{"label": "requests", "values": [None, 12.35, 0]}]
    assert [line["label"] for line in charts["Latency"]["lines"]] == ["p50", "p99"]
    assert charts["Errors"]["lines"][0]["values"] == [None, 25, None]
    assert response.json()["refresh_s"] == 60
    assert asked == [("24h", {"pool": ""})]


@pytest.mark.parametrize(
    ("window", "words"), [("15m", None), ("24h", "ten minutes"), ("7d", "an hour")]
)
def test_a_plot_without_figures_says_how_long_to_wait(client, web, asked, window, words):
    for chart in client.get(FIGURES, {"window": window}).json()["charts"]:
        assert "empty" not in chart if words is None else words in chart["empty"]


def test_a_pool_has_three_of_its_own(client, web, asked):
    charts = by_title(client.get(FIGURES, {"pool": "web"}))
    assert list(charts) == ["Requests", "Latency", "Errors"]
    assert asked == [("15m", {"pool": "web"})]


@pytest.mark.parametrize("query", [{"window": "1y"}, {"pool": "none"}])
def test_what_there_is_none_of_is_not_found(client, web, asked, query):
    assert client.get(FIGURES, query).status_code == 404
    assert asked == []


@pytest.mark.parametrize("window", figures.WINDOWS)
def test_every_window_has_a_title_and_figures(client, web, window):
    assert window in plots.windows()
    for chart in by_title(client.get(FIGURES, {"window": window})).values():
        lengths = {len(line["values"]) for line in chart["lines"]}
        assert lengths == {len(chart["times"])}


def test_a_backend_has_what_its_probes_took_too(client, web, asked):
    backend = web.backends.get(host="10.0.0.1")
    began = timezone.now() - timedelta(hours=2)
    LatencyBucket.objects.create(
        backend=backend, begins_at=began, probes=10, failures=2, mean_ms=4.0, worst_ms=9.0
    )
    charts = by_title(client.get(f"/admin/pools/backend/{backend.pk}/figures/?window=24h"))
    assert list(charts) == ["Requests", "Latency", "Errors", "Latency of probes"]
    assert asked == [("24h", {"backend": "web/10.0.0.1:80"})]
    probes = charts["Latency of probes"]
    mean, worst = (line["values"] for line in probes["lines"])
    (at,) = (index for index, value in enumerate(mean) if value is not None)
    assert (mean[at], worst[at]) == (4, 9)
    assert abs(probes["times"][at] - began.timestamp()) <= 600
    steps = {b - a for a, b in zip(probes["times"], probes["times"][1:], strict=False)}
    assert steps == {600}


def test_a_backend_that_is_gone_has_none(client, web, asked):
    assert client.get("/admin/pools/backend/99999/figures/").status_code == 404


def test_its_page_draws_them(client, web):
    backend = web.backends.first()
    page = client.get(f"/admin/pools/backend/{backend.pk}/change/").content.decode()
    url = f"/admin/pools/backend/{backend.pk}/figures/"
    assert f'data-plot-url="{url}?window=24h"' in page
    for file in (*plots.CSS, *plots.JS):
        assert file in page


def test_who_may_see_no_backends_gets_no_figures(web, django_user_model):
    user = django_user_model.objects.create(username="new", is_staff=True)
    client = Client()
    client.force_login(user)
    backend = web.backends.first()
    for url in (FIGURES, f"/admin/pools/backend/{backend.pk}/figures/"):
        assert client.get(url).status_code == 403
