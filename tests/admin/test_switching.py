"""Switches: states, weights and probes, of one backend and of many."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry

from pools.models import Backend, Pool, Revision
from tests.admin import browser
from tests.health.conftest import backends


@pytest.fixture
def backend():
    with backends() as start:
        yield start


def press(client, row: Backend, button: str, query: str = "", **more: str):
    return client.post(f"/admin/pools/backend/{row.pk}/{button}/{query}", more)


def test_one_press_moves_one_backend_and_comes_back_to_the_list_as_it_was(client, web):
    row = web.backends.first()
    page = client.get("/admin/pools/backend/?state=ready").content.decode()
    at = f"/admin/pools/backend/{row.pk}/state/?_changelist_filters=state%3Dready"
    assert f'formaction="{at}" name="to" value="drain"' in page
    response = client.post(at, {"to": "drain"})
    assert response["Location"] == "/admin/pools/backend/?state=ready"
    row.refresh_from_db()
    assert row.state == "drain"
    (message,) = browser.messages(response)
    assert message.startswith("Drained web/10.0.0.1:80. <span") and "Revision 2, " in message


def test_a_press_on_its_own_page_comes_back_there(client, web):
    row = web.backends.first()
    page = f"/admin/pools/backend/{row.pk}/change/"
    assert f'name="page" value="{row.pk}"' in client.get(page).content.decode()
    assert press(client, row, "state", to="maint", page=str(row.pk))["Location"] == page


def test_a_press_for_no_state_changes_nothing_and_says_what_there_is(client, web):
    response = press(client, web.backends.first(), "state", to="gone")
    assert browser.messages(response) == [
        "'gone' is not a state: it is one of ready, drain, maint."
    ]
    assert Revision.objects.count() == 1


def test_a_press_that_cannot_come_into_force_changes_nothing_and_says_why(client, web):
    Pool.objects.filter(name="spare").update(policy="wrong")
    row = web.backends.first()
    (message,) = browser.messages(press(client, row, "state", to="drain"))
    assert message.startswith("Nothing was changed: pools[spare].policy: 'wrong' is not one of")
    row.refresh_from_db()
    assert row.state == "ready"


@pytest.mark.parametrize("button", ["state", "probe"])
def test_buttons_are_pressed_by_who_may_and_by_post_alone(client, viewer, web, button):
    row = web.backends.first()
    assert press(viewer, row, button, to="drain").status_code == 403
    assert client.get(f"/admin/pools/backend/{row.pk}/{button}/").status_code == 405
    assert "formaction" not in viewer.get("/admin/pools/backend/").content.decode()
    assert (
        "formaction"
        not in viewer.get(f"/admin/pools/backend/{row.pk}/change/").content.decode()
    )
    row.delete()
    response = client.post(f"/admin/pools/backend/999/{button}/", {"to": "drain"})
    assert browser.messages(response) == ["This backend is no longer there."]


def test_a_weight_is_asked_for_and_set_as_one_revision(client, web):
    asked = browser.act(client, "backend/", "set_weight", *web.backends.all())
    assert asked.status_code == 200
    page = asked.content.decode()
    assert "web/10.0.0.1:80" in page and 'name="weight"' in page
    assert Revision.objects.count() == 1
    response = browser.act(client, "backend/", "set_weight", *web.backends.all(), weight="7")
    assert response.status_code == 302
    assert set(web.backends.values_list("weight", flat=True)) == {7}
    why = "Set weight 7 of web/10.0.0.1:80 and web/10.0.0.2:80"
    assert Revision.objects.latest().why == why
    assert LogEntry.objects.filter(change_message=why).count() == 2
    again = browser.act(client, "backend/", "set_weight", *web.backends.all(), weight="7")
    assert browser.messages(again)[-1] == "Nothing to do: their weight is 7 already."


@pytest.mark.parametrize("typed", ["257", "-1", "two", ""])
def test_a_weight_that_is_none_is_asked_for_again_with_what_was_typed(client, web, typed):
    response = browser.act(client, "backend/", "set_weight", *web.backends.all(), weight=typed)
    page = response.content.decode()
    assert response.status_code == 200
    assert "is not a weight: use 0 to 256" in page
    assert not typed or f'value="{typed}"' in page
    assert Revision.objects.count() == 1


def test_all_of_thousands_are_weighed_with_few_queries(
    client, web, django_assert_max_num_queries
):
    Backend.objects.bulk_create(
        Backend(pool=web, host=f"10.1.{n // 250}.{n % 250}", port=80) for n in range(1_200)
    )
    first = web.backends.first()
    across = {"select_across": "1", "index": "0"}
    asked = browser.act(client, "backend/", "set_weight", first, **across)
    page = asked.content.decode()
    assert "Weight of 1202 backends" in page
    assert 'name="select_across" value="1"' in page
    with django_assert_max_num_queries(64):
        browser.act(client, "backend/", "set_weight", first, **across, weight="3")
    assert set(web.backends.values_list("weight", flat=True)) == {3}


@pytest.mark.django_db(transaction=True)
def test_a_probe_now_shows_each_answer_and_writes_nothing(client, web, backend):
    there = backend()
    up = web.backends.create(host="127.0.0.1", port=there.port)
    with backends() as start:
        gone = web.backends.create(host="127.0.0.1", port=start().port)
    page = browser.act(client, "backend/", "probe_now", up, gone).content.decode()
    assert "1 of 2 backends are healthy" in page
    assert "connection refused" in page
    assert "would be: up, it was unknown" in page
    assert not hasattr(Backend.objects.get(pk=up.pk), "health")
    one = press(client, up, "probe").content.decode()
    assert "1 of 1 backend is healthy" in one


@pytest.mark.django_db(transaction=True)
def test_one_that_is_not_probed_is_said_so(client, web):
    Pool.objects.update(probe_kind="off")
    page = browser.act(client, "backend/", "probe_now", web.backends.first()).content.decode()
    assert "not asked: the probe of pool web is off" in page


def test_a_probe_of_too_many_is_refused_with_how_many_there_may_be(client, web):
    Backend.objects.bulk_create(
        Backend(pool=web, host=f"10.1.0.{n}", port=80) for n in range(60)
    )
    response = browser.act(client, "backend/", "probe_now", *web.backends.all())
    assert browser.messages(response) == [
        "Choose 50 backends at most to probe now: 62 are chosen."
    ]
