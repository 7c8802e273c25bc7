"""explain: by what is published, and with what the database knows of health."""

from __future__ import annotations

import pytest
from django.utils import timezone

from pools.control import compile, publish
from pools.control.apply import apply
from pools.control.explain import Candidate, explain
from pools.core.request import RequestHead
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule

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


def head(path: bytes, host: str = "") -> RequestHead:
    return RequestHead(method=b"GET", host=host, path=path, headers=[], client="127.0.0.1")


def shares(candidates: tuple[Candidate, ...]) -> dict[str, float]:
    return {candidate.status.key: candidate.share for candidate in candidates}


def down(*hosts: str) -> None:
    now = timezone.now()
    ProbeSchedule.objects.create(pool=Pool.objects.get(name="web"), next_at=now, done_at=now)
    for backend in Backend.objects.filter(host__in=hosts):
        BackendHealth.objects.create(backend=backend, verdict="down")


def test_the_route_its_path_and_the_shares_of_its_backends():
    found = explain(head(b"/api/x"))
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
    found = explain(head(b"/api"))
    assert shares(found.candidates)["web/c:1"] == 1
    assert [candidate.status.available for candidate in found.candidates] == [
        False,
        False,
        True,
        False,
    ]


def test_no_route():
    found = explain(head(b"/x"))
    assert not found.taken
    assert found.candidates == ()
    assert [other.route.name for other in found.explanation.passed_over] == ["api", "all"]


def test_the_control_plane_s_own_asks_no_route():
    found = explain(head(b"/admin/", "www.example.com"))
    assert found.reserved
    assert not found.taken
    assert found.candidates == ()


@pytest.mark.parametrize("change", [{"slow_start_s": 3}, {"slow_start_s": -3}])
def test_rows_that_are_not_published_are_told_of(change):
    Pool.objects.update(**change)
    found = explain(head(b"/api"))
    assert found.pending
    assert found.revision == 1


def test_before_anything_is_published():
    with publish.change(who="test"):
        apply(compile.checked({}))
    assert not explain(head(b"/")).taken
