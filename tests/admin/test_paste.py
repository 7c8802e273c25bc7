"""Backends by paste: tested, then saved as one change; nothing that was typed is lost."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from pools.admin import paste
from pools.control import pasting
from pools.core.document import Backend as Part
from pools.models import Backend, Pool, Revision
from tests.admin import browser
from tests.health.conftest import backends


@pytest.fixture
def backend():
    with backends() as start:
        yield start


def send(client, url: str, button: str = "_save", **typed: str):
    return client.post(f"/admin/pools/pool/{url}", {**typed, button: "1"})


def said(response) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {name: list(found) for name, found in response.context["form"].errors.items()}


def addresses(pool: Pool) -> list[str]:
    return [row.address for row in pool.backends.order_by("pk")]


def test_lines_are_backends_of_the_pool_and_one_revision(client, web):
    lines = "10.0.0.3:80 weight=2\n[::1]:80 backup\nunix:/run/app.sock"
    response = send(client, f"{web.pk}/paste/", lines=lines)
    assert response["Location"] == f"/admin/pools/pool/{web.pk}/change/"
    added = ["10.0.0.3:80", "[::1]:80", "unix:/run/app.sock"]
    assert addresses(web)[2:] == added
    third, fourth = web.backends.order_by("pk")[2:4]
    assert third.part() == Part(host="10.0.0.3", port=80, weight=2)
    assert fourth.backup
    revision = Revision.objects.latest()
    why = "Changed pool web: added 10.0.0.3:80, [::1]:80 and unix:/run/app.sock"
    assert (revision.number, revision.who, revision.why) == (2, "ann", why)
    (message,) = browser.messages(response)
    assert message.startswith(f"{why}. <span") and "Revision 2, " in message
    assert LogEntry.objects.filter(change_message=why).count() == 3


def test_what_is_wrong_is_said_by_line_and_nothing_is_lost(client, web):
    lines = "10.0.0.3:80\n10.0.0.300:80\n10.0.0.1:80"
    response = send(client, f"{web.pk}/paste/", lines=lines)
    assert said(response) == {
        "lines": [
            "line 2: '10.0.0.300' is not an IP address: use four numbers of 0 to 255",
            "line 3: 10.0.0.1:80 is in the pool already: leave it out",
        ]
    }
    assert "10.0.0.3:80\n10.0.0.300:80\n10.0.0.1:80</textarea>" in response.content.decode()
    assert web.backends.count() == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "Paste at least one line."),
        ("# nothing", "There is no backend in it: paste at least one line."),
        ("a:80\n" * (pasting.MOST + 1), "501 lines are too many at once: 500 at most."),
    ],
)
def test_a_paste_of_none_or_too_many_is_refused(client, web, lines, message):
    assert said(send(client, f"{web.pk}/paste/", lines=lines)) == {"lines": [message]}


def test_what_cannot_come_into_force_is_said_and_nothing_is_saved(client, web):
    Pool.objects.filter(name="spare").update(policy="wrong")
    response = send(client, f"{web.pk}/paste/", lines="10.0.0.3:80")
    (problem,) = said(response)["__all__"]
    assert problem.startswith("Nothing was saved: pools[spare].policy: 'wrong' is not one of")
    assert web.backends.count() == 2
    assert "10.0.0.3:80</textarea>" in response.content.decode()


def test_a_new_pool_comes_with_its_backends(client, web):
    typed = {"name": "api", "probe_kind": "http", "probe_path": "/health"}
    response = send(client, "paste/", lines="10.0.0.3:80\n10.0.0.4:80", **typed)
    pool = Pool.objects.get(name="api")
    assert response["Location"] == f"/admin/pools/pool/{pool.pk}/change/"
    assert pool.probe_path == "/health"
    assert addresses(pool) == ["10.0.0.3:80", "10.0.0.4:80"]
    why = "Added pool api; added 10.0.0.3:80 and 10.0.0.4:80"
    assert Revision.objects.latest().why == why


@pytest.mark.parametrize(
    ("typed", "at", "message"),
    [
        ({"name": "web"}, "name", "Pool with this Name already exists."),
        ({"name": "a b"}, "name", "'a b' is not a name: use 1 to 63 letters"),
        ({"name": ""}, "name", "This field is required."),
        ({"probe_path": "x"}, "probe_path", "'x' is not a path: begin it with '/'"),
        ({"probe_kind": "luck"}, "probe_kind", "Select a valid choice."),
    ],
)
def test_what_is_wrong_with_a_new_pool_is_said_at_its_field(client, web, typed, at, message):
    usual = {"name": "api", "probe_kind": "http", "probe_path": "/", "lines": "10.0.0.3:80"}
    found = said(send(client, "paste/", **{**usual, **typed}))
    assert list(found) == [at]
    assert found[at][0].startswith(message)


def test_a_pool_is_chosen_by_its_name(client, web):
    page = client.get("/admin/pools/pool/paste/backends/?pool=web").content.decode()
    assert '<option value="spare">' in page and 'value="web"' in page
    send(client, "paste/backends/", pool_name="spare", lines="10.0.0.3:80")
    assert addresses(Pool.objects.get(name="spare")) == ["10.0.0.3:80"]


def test_a_pool_that_is_not_there_is_said_with_what_is_near(client, web):
    found = said(send(client, "paste/backends/", pool_name="we", lines="10.0.0.3:80"))
    assert found == {"pool_name": ["There is no pool we: did you mean web?"]}
    found = said(send(client, "paste/backends/", pool_name="x", lines="10.0.0.1:80"))
    assert found == {"pool_name": ["There is no pool x."]}


@pytest.mark.django_db(transaction=True)
def test_a_test_says_what_each_line_answered_and_saves_nothing(client, web, backend):
    Pool.objects.filter(pk=web.pk).update(probe_path="/up")
    there = backend()
    with backends() as start:
        gone = start().port
    lines = f"127.0.0.1:{there.port}\n127.0.0.1:{gone}\nwrong"
    response = send(client, f"{web.pk}/paste/", "_test", lines=lines)
    page = response.content.decode()
    assert [one.ok for one in response.context["found"]] == [True, False]
    assert "1 of 2 backends are healthy" in page
    assert "connection refused" in page
    assert f"GET http://127.0.0.1:{there.port}/up, expects 200-399" in page
    assert said(response)["lines"] == ["line 3: 'wrong' has no port: write wrong:80"]
    assert Revision.objects.count() == 1 and web.backends.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_a_pool_without_a_probe_connections_are_tested(client, web, backend):
    there = backend()
    typed = {"name": "api", "probe_kind": "off", "probe_path": "/"}
    lines = f"127.0.0.1:{there.port}"
    response = send(client, "paste/", "_test", lines=lines, **typed)
    (one,) = response.context["found"]
    assert (one.ok, one.asked) == (True, f"TCP to 127.0.0.1:{there.port}")
    assert not Pool.objects.filter(name="api").exists()


@pytest.mark.django_db(transaction=True)
def test_a_test_is_of_the_first_lines_and_says_so(client, web, backend, monkeypatch):
    monkeypatch.setattr(paste, "TESTED_MOST", 1)
    there, other = backend(), backend()
    lines = f"127.0.0.1:{there.port}\n127.0.0.1:{other.port}"
    page = send(client, f"{web.pk}/paste/", "_test", lines=lines).content.decode()
    assert "1 of 1 backend is healthy" in page
    assert "1 more was not asked" in page


@pytest.mark.parametrize("url", ["paste/", "paste/backends/", "{}/paste/"])
def test_pages_are_for_who_may_add_backends(client, viewer, web, url):
    at = f"/admin/pools/pool/{url.format(web.pk)}"
    assert client.get(at).status_code == 200
    assert viewer.get(at).status_code == 403
    assert viewer.post(at, {"lines": "10.0.0.3:80", "_save": "1"}).status_code == 403
    assert Backend.objects.count() == 2


def test_a_new_pool_is_for_who_may_add_pools(viewer, web, django_user_model):
    user = django_user_model.objects.get(username="vic")
    user.user_permissions.add(Permission.objects.get(codename="add_backend"))
    assert viewer.get("/admin/pools/pool/paste/").status_code == 403
    assert viewer.get(f"/admin/pools/pool/{web.pk}/paste/").status_code == 200


def test_a_pool_that_went_meanwhile_is_said(client, web):
    response = client.get("/admin/pools/pool/999/paste/")
    assert browser.messages(response) == ["This pool is no longer there."]


def test_lists_and_forms_lead_to_the_pages(client, viewer, web):
    for page, target in (
        ("pool/", "/admin/pools/pool/paste/"),
        ("pool/add/", "/admin/pools/pool/paste/"),
        (f"pool/{web.pk}/change/", f"/admin/pools/pool/{web.pk}/paste/"),
        ("backend/", "/admin/pools/pool/paste/backends/"),
    ):
        assert f'href="{target}"' in client.get(f"/admin/pools/{page}").content.decode(), page
    assert "/paste/" not in viewer.get("/admin/pools/backend/").content.decode()
