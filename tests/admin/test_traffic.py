"""What processes tell of backends and pools, in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pools.models import Process

KEY = "web/10.0.0.1:80"


def tell(name: str = "a:1", *, age_s: float = 0, **report: object) -> None:
    now = timezone.now() - timedelta(seconds=age_s)
    Process.objects.create(
        kind="gateway",
        name=name,
        started_at=now,
        seen_at=now,
        report={"revision": 1, **report},
    )


def ejected(why: str = "reset") -> dict[str, dict[str, str]]:
    until = timezone.now() + timedelta(seconds=60)
    return {KEY: {"until": until.isoformat(), "why": why}}


def pages(client, web) -> list[str]:
    """The backend's page, and the list."""
    backend = web.backends.get(host="10.0.0.1")
    addresses = (f"/admin/pools/backend/{backend.pk}/change/", "/admin/pools/backend/")
    return [client.get(address).content.decode() for address in addresses]


def test_an_ejection_is_shown_with_who_and_why(client, web):
    tell(ejected=ejected("5 failed requests in a row, the last: <b>reset</b>"))
    for page in pages(client, web):
        assert "ejected by gateway a:1 for " in page
        assert "the last: &lt;b&gt;reset" in page


def test_what_the_gone_told_is_not_shown(client, web):
    tell(ejected=ejected(), panic=["web"], age_s=60)
    for page in pages(client, web):
        assert "ejected by" not in page
    assert ">panic<" not in client.get(f"/admin/pools/pool/{web.pk}/change/").content.decode()


@pytest.mark.parametrize("state", ["drain", "maint"])
@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({}, "safe to stop"),
        ({"revision": 0}, "not in force in every process yet"),
        (
            {"leaving": {KEY: {"requests": 1, "tunnels": 2}}},
            "1 request and 2 tunnels in flight (gateway a:1)",
        ),
    ],
)
def test_a_backend_that_leaves_says_whether_it_may_be_stopped(
    client, web, state, report, words
):
    tell(**report)
    web.backends.filter(host="10.0.0.1").update(state=state)
    for page in pages(client, web):
        assert words in page


def test_sticky_clients_that_may_come_are_told_of_while_it_drains(client, web):
    web.backends.filter(host="10.0.0.1").update(state="drain")
    web.sticky_mode = "cookie"
    web.save()
    for page in pages(client, web):
        assert "clients that hold its cookie may come" in page
    web.backends.filter(host="10.0.0.1").update(state="maint")
    for page in pages(client, web):
        assert "safe to stop" in page


def test_a_pool_in_panic_says_so(client, web):
    address = f"/admin/pools/pool/{web.pk}/change/"
    assert ">panic<" not in client.get(address).content.decode()
    tell(panic=["web"])
    page = client.get(address).content.decode()
    assert ">panic<" in page
    assert "so many backends are out that health is ignored, in gateway a:1" in page


def test_more_processes_and_backends_cost_the_list_no_more_queries(client, web):
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get("/admin/pools/backend/")
        return len(found)

    web.backends.update(state="drain")
    queries()
    before = queries()
    for number in range(5):
        tell(f"a:{number}", ejected=ejected())
    assert queries() == before
