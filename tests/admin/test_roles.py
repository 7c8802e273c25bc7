"""Roles: groups that are made once, and what each may do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client

from pools.control import roles
from pools.models import Backend, Channel, Pool, Revision, Role, Route
from tests.admin import browser

SEES = ("viewer", "operator", "editor", "administrator")
OPERATES = SEES[1:]
EDITS = SEES[2:]


@pytest.fixture
def browsers(web, django_user_model) -> dict[str, Client]:
    found = {}
    for role in SEES:
        user = django_user_model.objects.create(username=role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        found[role] = Client()
        found[role].force_login(user)
    return found


# Page, and the roles that may open it.
PAGES = [
    ("", SEES),
    ("pools/pool/", SEES),
    ("pools/pool/{pool}/change/", SEES),
    ("pools/pool/add/", EDITS),
    ("pools/pool/{pool}/delete/", EDITS),
    ("pools/backend/", SEES),
    ("pools/backend/{backend}/change/", SEES),
    ("pools/backend/add/", EDITS),
    ("pools/backend/{backend}/delete/", EDITS),
    ("pools/route/", SEES),
    ("pools/route/add/", EDITS),
    ("pools/route/{route}/change/", SEES),
    ("pools/channel/", SEES),
    ("pools/channel/add/", EDITS),
    ("pools/alert/", SEES),
    ("pools/delivery/", SEES),
    ("pools/healthevent/", SEES),
    ("pools/revision/", SEES),
    ("pools/team/", ("administrator",)),
    ("pools/team/add/", ("administrator",)),
    ("pools/auditentry/", ("administrator",)),
]


@pytest.mark.parametrize(("path", "allowed"), PAGES)
def test_each_page_is_for_the_roles_that_may_open_it(browsers, web, path, allowed):
    keys = {
        "pool": web.pk,
        "backend": web.backends.first().pk,
        "route": Route.objects.get().pk,
    }
    for role, client in browsers.items():
        expected = 200 if role in allowed else 403
        assert client.get(f"/admin/{path.format(**keys)}").status_code == expected, role


@pytest.mark.parametrize(
    ("kind", "action", "allowed"),
    [
        ("backend", "drain", OPERATES),
        ("backend", "maintain", OPERATES),
        ("backend", "delete_selected", EDITS),
        ("pool", "delete_selected", EDITS),
        ("route", "delete_selected", EDITS),
        ("delivery", "retry", EDITS),
    ],
)
def test_each_action_is_offered_to_the_roles_that_may_take_it(browsers, kind, action, allowed):
    if kind == "delivery":
        from tests.admin.test_permissions import notified

        notified()
    for role, client in browsers.items():
        form = client.get(f"/admin/pools/{kind}/").context["action_form"]
        offered = dict(form.fields["action"].choices) if form else {}
        assert (action in offered) is (role in allowed), role


@pytest.mark.parametrize("role", SEES)
def test_states_are_changed_by_who_operates(browsers, web, role):
    browser.act(browsers[role], "backend/", "drain", *web.backends.all())
    states = set(web.backends.values_list("state", flat=True))
    assert states == ({"drain"} if role in OPERATES else {"ready"})


def test_an_operator_changes_state_and_weight_and_nothing_else(browsers, web):
    client, backend = browsers["operator"], web.backends.first()
    page = f"backend/{backend.pk}/change/"
    fields = client.get(f"/admin/pools/{page}").context["adminform"].form.fields
    assert set(fields) == {"state", "weight"}
    response = browser.send(client, page, state="drain", weight="7", host="10.9.9.9", port="1")
    assert response.status_code == 302
    backend.refresh_from_db()
    assert (backend.state, backend.weight, backend.host) == ("drain", 7, "10.0.0.1")
    assert Revision.objects.latest().who == "operator"
    page = f"/admin/pools/pool/{web.pk}/change/"
    assert 'name="_save"' not in client.get(page).content.decode()
    assert client.post(page, {}).status_code == 403


def test_what_one_may_not_do_is_done_by_no_post_either(browsers, web):
    channel = Channel.objects.create(name="ops", kind="slack", url="http://127.0.0.1:9/x")
    before = Backend.objects.count(), Pool.objects.count(), Route.objects.count()
    for role in ("viewer", "operator"):
        for page in (
            "pool/add/",
            f"pool/{web.pk}/delete/",
            f"route/{Route.objects.get().pk}/change/",
            f"backend/{web.backends.first().pk}/delete/",
            f"channel/{channel.pk}/test/",
            f"channel/{channel.pk}/secret/",
        ):
            done = browsers[role].post(f"/admin/pools/{page}", {"post": "yes"})
            assert done.status_code == 403, (role, page)
    assert (Backend.objects.count(), Pool.objects.count(), Route.objects.count()) == before


def test_what_was_taken_from_a_group_stays_taken(db):
    group = Group.objects.get(name="operator")
    group.permissions.clear()
    call_command("migrate", verbosity=0)
    assert not group.permissions.exists()


def test_a_group_that_was_deleted_or_renamed_is_not_made_again(db):
    Group.objects.get(name="viewer").delete()
    Group.objects.filter(name="editor").update(name="Redaktion")
    call_command("migrate", verbosity=0)
    assert not Group.objects.filter(name__in=("viewer", "editor")).exists()


def test_a_permission_that_a_later_version_brings_is_given_once(db, monkeypatch):
    later = {**roles.PERMISSIONS, "viewer": {*roles.PERMISSIONS["viewer"], "pools.view_team"}}
    monkeypatch.setattr(roles, "PERMISSIONS", later)
    group = Group.objects.get(name="viewer")
    roles.make()
    assert group.permissions.filter(codename="view_team").exists()
    group.permissions.filter(codename="view_team").delete()
    roles.make()
    assert not group.permissions.filter(codename="view_team").exists()


def test_a_group_of_somebody_elses_gets_no_rights_of_ours(db):
    Role.objects.all().delete()
    Group.objects.all().delete()
    theirs = Group.objects.create(name="editor")
    roles.make()
    assert not theirs.permissions.exists()
    assert Role.objects.get(name="editor").group.name == "proxy editor"


def test_permissions_come_with_the_groups_on_a_first_migration(db):
    assert Role.objects.count() == 4
    codes = Group.objects.get(name="viewer").permissions.values_list("codename", flat=True)
    assert "view_pool" in codes
