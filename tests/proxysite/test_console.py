"""The project's console: its name, its side bar, its accounts."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("console_alone")]


def browser(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def offered(user) -> list[str]:
    """What the side bar offers, from top to bottom."""
    groups = browser(user).get("/admin/").context["sidebar_navigation"]
    return [
        item["title"] for group in groups for item in group["items"] if item["has_permission"]
    ]


def test_the_side_bar_leads_to_all_that_one_may_see(django_user_model):
    ann = django_user_model.objects.create_superuser("ann")
    assert offered(ann) == [
        "Dashboard",
        "Pools",
        "Backends",
        "Routing rules",
        "Alerts",
        "Channels",
        "Deliveries",
        "Health events",
        "Revisions",
        "Draft",
        "Users",
        "Groups",
        "Teams",
        "Audit log",
    ]


def test_the_side_bar_leaves_out_what_one_may_not_see(django_user_model):
    vic = django_user_model.objects.create(username="vic", is_staff=True)
    vic.user_permissions.add(Permission.objects.get(codename="change_pool"))
    assert offered(vic) == ["Dashboard", "Pools", "Draft"]


def test_the_console_says_its_name(client):
    assert "proxysite" in client.get("/admin/login/").content.decode().partition("</title>")[0]


def test_accounts_are_kept_in_the_console(django_user_model):
    ann = django_user_model.objects.create_superuser("ann")
    client = browser(ann)
    response = client.post(
        "/admin/auth/user/add/",
        {
            "username": "bob",
            "usable_password": "true",
            "password1": "correct horse battery",
            "password2": "correct horse battery",
        },
    )
    assert response.status_code == 302
    bob = django_user_model.objects.get(username="bob")
    assert bob.check_password("correct horse battery")
    for page in ("", f"{bob.pk}/change/", f"{bob.pk}/password/"):
        assert client.get(f"/admin/auth/user/{page}").status_code == 200


def test_nothing_that_the_console_says_is_left_in_a_cookie(django_user_model):
    ann = django_user_model.objects.create_superuser("ann")
    client = browser(ann)
    form = {"name": "ops", "permissions": []}
    response = client.post("/admin/auth/group/add/", form, follow=True)
    assert "was added successfully" in response.content.decode()
    assert set(client.cookies) <= {"proxysite_sessionid", "proxysite_csrftoken"}


def test_a_login_that_asks_for_another_site_ends_in_the_console(django_user_model, client):
    django_user_model.objects.create_superuser("ann", password="correct horse")
    form = {"username": "ann", "password": "correct horse", "next": "https://evil.example/"}
    response = client.post("/admin/login/", form)
    assert response["Location"] == "/admin/"


@pytest.mark.parametrize("plugin", ["totp", "static"])
def test_keys_of_one_time_codes_have_no_pages(plugin, admin_client):
    page = f"/admin/otp_{plugin}/{plugin}device/"
    assert admin_client.get(page).status_code == 404


def test_who_gets_a_role_without_staff_status_is_told_of(admin_client, django_user_model):
    user = django_user_model.objects.create(username="olga")
    group = Group.objects.get(name="operator")
    page = f"/admin/auth/user/{user.pk}/change/"
    values = {"username": "olga", "is_active": "on", "groups": [str(group.pk)]}
    told = admin_client.post(page, values, follow=True).content.decode()
    assert "olga cannot sign in here" in told
    told = admin_client.post(page, {**values, "is_staff": "on"}, follow=True).content.decode()
    assert "cannot sign in" not in told
