"""explain: by what is published, and with what the database knows of health."""

from __future__ import annotations

import pytest
from django.utils import timezone

from pools.control import compile, publish, watch
from pools.control.apply import apply
from pools.control.asked import Asked, read
from pools.control.explain import Candidate, explain
from pools.control.explained_text import text
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule, Route

pytestmark = pytest.mark.django_db

SITE = {
    "pools": [
        {
            "name": "web",
            "backends": [
                {"host": "a", "port": 1, "weight": 3},
                {"host": "b", "port": 1},
                {"host": "c", "port": 1, "backup": True},
                {"host": "d", "port": 1, "state": "maint"},
            ],
        },
        {"name": "empty"},
    ],
    "routes": [
        {"name": "api", "pool": "web", "path_prefix": "/api", "prefix_mode": "strip"},
        {"name": "all", "pool": "empty", "hosts": ["www.example.com"]},
    ],
}


@pytest.fixture(autouse=True)
def site() -> None:
    with publish.change(who="test"):
        apply(compile.checked(SITE))


def get(path: str, host: str = "", *headers: str, client: str = "192.0.2.9") -> Asked:
    url = f"http://{host}{path}" if host else path
    return read(method="GET", url=url, headers=headers, client=client)


def shares(candidates: tuple[Candidate, ...]) -> dict[str, float]:
    return {candidate.status.key: candidate.share for candidate in candidates}


def down(*hosts: str) -> None:
    now = timezone.now()
    ProbeSchedule.objects.create(pool=Pool.objects.get(name="web"), next_at=now, done_at=now)
    for backend in Backend.objects.filter(host__in=hosts):
        BackendHealth.objects.create(backend=backend, verdict="down")


def test_the_route_its_path_and_the_shares_of_its_backends():
    found = explain(get("/api/x"))
    assert found.taken
    assert found.explanation.taken is not None
    assert found.explanation.taken.name == "api"
    assert (found.revision, found.pending, found.sent_path) == (1, False, b"/x")
    assert shares(found.candidates) == {
        "web/a:1": 0.75,
        "web/b:1": 0.25,
        "web/c:1": 0,
        "web/d:1": 0,
    }


def test_backups_serve_when_all_others_are_down():
    down("a", "b")
    found = explain(get("/api"))
    assert shares(found.candidates)["web/c:1"] == 1
    assert [candidate.status.available for candidate in found.candidates] == [
        False,
        False,
        True,
        False,
    ]


def test_no_route():
    found = explain(get("/x"))
    assert not found.taken
    assert found.candidates == ()
    assert [other.route.name for other in found.explanation.passed_over] == ["api", "all"]


def test_the_control_plane_s_own_asks_no_route():
    found = explain(get("/admin/", "www.example.com"))
    assert found.reserved
    assert not found.taken
    assert found.candidates == ()


@pytest.mark.parametrize("change", [{"slow_start_s": 3}, {"slow_start_s": -3}])
def test_rows_that_are_not_published_are_told_of(change):
    Pool.objects.update(**change)
    found = explain(get("/api"))
    assert found.pending
    assert found.revision == 1


def test_what_has_no_say_in_where_it_goes_is_not_told_of():
    Pool.objects.filter(name="empty").update(slow_start_s=3)
    assert not explain(get("/api")).pending
    assert not explain(get("/x")).pending
    Route.objects.filter(name="all").update(enabled=False)
    assert explain(get("/api")).pending


def test_before_anything_is_published():
    with publish.change(who="test"):
        apply(compile.checked({}))
    assert not explain(get("/")).taken


# --- what a process has in force


def test_what_is_in_force_here_is_not_compiled_again(monkeypatch):
    watch.engine()
    monkeypatch.setattr(publish, "published", None)  # nobody asks for it
    found = explain(get("/api/x"), watching=True)
    assert found.route is not None and found.route.name == "api"
    assert shares(found.candidates)["web/a:1"] == 0.75


def test_where_a_process_is_behind_what_is_published_counts(monkeypatch):
    behind = watch.engine()
    with publish.change(who="test"):
        Route.objects.filter(name="api").update(path_prefix="/v2")
    monkeypatch.setattr(watch, "engine", lambda: behind)
    found = explain(get("/v2"), watching=True)
    assert (found.revision, found.taken) == (2, True)


# --- what its reader may see


def test_routes_that_are_not_the_reader_s_are_counted_alone():
    found = explain(get("/api", "www.example.com")).without({"api"})
    assert found.route is not None and found.route.name == "all"
    assert (found.explanation.passed_over, found.hidden) == ((), 1)


def test_that_another_s_route_takes_it_is_told_and_no_more():
    found = explain(get("/api", "www.example.com")).without({"all"})
    assert found.taken and found.foreign and found.route is None
    assert (found.fields, found.candidates, found.sent_path) == ((), (), b"")
    assert [other.reason for other in found.explanation.passed_over] == [
        "less specific than the route that takes it"
    ]
    assert "A route that is not yours takes it." in text(found)
    assert "www" not in text(found).partition("\n")[2]
