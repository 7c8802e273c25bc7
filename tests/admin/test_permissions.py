"""Django's own permissions hold: to see is not to change."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from pools.control import compile
from pools.models import Alert, Channel, Delivery, HealthEvent, Revision, Route
from tests.admin import browser


@pytest.fixture
def pages(web) -> list[str]:
    event = HealthEvent.objects.create(
        backend=web.backends.first(), at=timezone.now(), old="unknown", new="up"
    )
    rows = [web, web.backends.first(), Route.objects.get(), event, Revision.objects.get()]
    rows += notified()
    return [
        f"/admin/pools/{row._meta.model_name}/{rest}"
        for row in rows
        for rest in ("", f"{row.pk}/change/")
    ]


def notified() -> list[Model]:
    """A channel, an alert and a message."""
    now = timezone.now()
    channel = Channel.objects.create(name="ops", kind="slack", url="http://127.0.0.1:9/x")
    return [
        channel,
        Alert.objects.create(kind="pool_empty", subject="web", begun_at=now),
        Delivery.objects.create(channel=channel, payload={}, created_at=now, next_at=now),
    ]


def test_who_may_see_sees_every_page_and_nothing_to_save(viewer, pages):
    for page in pages:
        response = viewer.get(page)
        assert response.status_code == 200, page
        assert 'name="_save"' not in response.content.decode(), page


def test_who_may_see_changes_nothing(viewer, web):
    before = compile.document()
    backend, route = web.backends.first(), Route.objects.get()
    for url in (
        f"pool/{web.pk}/change/",
        f"pool/{web.pk}/delete/",
        "pool/add/",
        f"backend/{backend.pk}/change/",
        f"backend/{backend.pk}/delete/",
        f"route/{route.pk}/change/",
    ):
        assert viewer.post(f"/admin/pools/{url}", {"post": "yes"}).status_code == 403, url
    assert compile.document() == before


@pytest.mark.parametrize("action", ["drain", "delete_selected"])
def test_who_may_see_has_no_actions(viewer, web, action):
    browser.act(viewer, "backend/", action, *web.backends.all(), post="yes")
    assert set(web.backends.values_list("state", flat=True)) == {"ready"}


def test_who_may_change_may_act_and_not_delete(web, viewer, django_user_model):
    user = django_user_model.objects.get(username="vic")
    user.user_permissions.add(Permission.objects.get(codename="change_backend"))
    browser.act(viewer, "backend/", "delete_selected", *web.backends.all(), post="yes")
    browser.act(viewer, "backend/", "drain", *web.backends.all())
    assert list(web.backends.values_list("state", flat=True)) == ["drain", "drain"]
    assert Revision.objects.latest().who == "vic"


def test_deleting_a_pool_needs_the_right_to_delete_its_backends(web, viewer, django_user_model):
    Route.objects.all().delete()
    user = django_user_model.objects.get(username="vic")
    user.user_permissions.add(Permission.objects.get(codename="delete_pool"))
    url = f"/admin/pools/pool/{web.pk}/delete/"
    assert "backend" in viewer.get(url).context["perms_lacking"]
    assert viewer.post(url, {"post": "yes"}).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="delete_backend"))
    assert viewer.post(url, {"post": "yes"}).status_code == 302


def test_what_happened_is_changed_by_nobody(client, web):
    revision = Revision.objects.get()
    event = HealthEvent.objects.create(
        backend=web.backends.first(), at=timezone.now(), old="unknown", new="up"
    )
    for row in (revision, event):
        url = f"/admin/pools/{row._meta.model_name}/"
        for rest in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
            assert client.post(url + rest, {"post": "yes"}).status_code == 403, rest
        assert 'name="action"' not in client.get(url).content.decode()


def test_nobody_else_gets_in(web, pages):
    for page in pages:
        assert Client().get(page).status_code == 302
