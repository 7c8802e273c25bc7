"""Signing in: guessing is held off, sessions end, and what happens is told."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client

from pools.models import AuditEntry
from proxysite import sessions
from tests.proxysite.signing import LOGIN, PASSWORD, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("console_alone")]


def told() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.filter(kind="user").order_by("pk")
    return [(row.action, row.name, row.who) for row in rows if row.action != "added"]


def guess(name: str = "ann", times: int = 5, address: str = "192.0.2.1"):
    return [sign_in(Client(), name, "wrong", address) for _ in range(times)][-1]


def test_after_some_wrong_passwords_the_right_one_is_held_back_too(ann):
    assert guess(times=4).status_code == 200
    locked = guess(times=1)
    assert locked.status_code == 429
    assert 0 < int(locked.headers["Retry-After"]) <= 900
    page = locked.content.decode()
    assert "15 minutes" in page
    assert "manage.py axes_reset_username ann" in page
    held = sign_in(Client(), "ann", PASSWORD)
    assert held.status_code == 429
    assert not held.wsgi_request.user.is_authenticated


def test_others_are_not_held_back(ann, django_user_model):
    django_user_model.objects.create_superuser("bob", password=PASSWORD)
    guess()
    assert sign_in(Client(), "ann", PASSWORD, "192.0.2.2").status_code == 302
    assert sign_in(Client(), "bob", PASSWORD).status_code == 302


def test_addresses_behind_a_trusted_proxy_are_told_apart(ann, settings):
    from pools.control import audit

    settings.POOLS_TRUSTED_PROXIES = ["10.0.0.0/8"]
    audit._header_rules.cache_clear()
    try:
        typed = {"username": "ann", "password": "wrong"}
        for _ in range(5):
            Client().post(
                LOGIN, typed, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.7"
            )
        typed["password"] = PASSWORD
        for address, status in (("192.0.2.7", 429), ("192.0.2.8", 302)):
            done = Client().post(
                LOGIN, typed, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=address
            )
            assert done.status_code == status
    finally:
        audit._header_rules.cache_clear()


def test_a_right_password_begins_the_count_anew(ann):
    guess(times=4)
    assert sign_in(Client(), "ann", PASSWORD).status_code == 302
    assert guess(times=4).status_code == 200


def test_an_administrator_lets_in_again(ann, django_user_model):
    django_user_model.objects.create_superuser("bob", password=PASSWORD)
    guess()
    client = Client()
    client.force_login(User.objects.get(username="bob"))
    done = {"action": "let_in", "_selected_action": [str(ann.pk)]}
    assert client.post("/admin/auth/user/", done).status_code == 302
    assert sign_in(Client(), "ann", PASSWORD).status_code == 302
    assert ("let in again", "ann", "bob") in told()


def test_the_command_lets_in_again(ann, capsys):
    guess()
    call_command("axes_reset_username", "ann")
    assert sign_in(Client(), "ann", PASSWORD).status_code == 302


def test_signing_in_and_out_is_told(ann):
    client = Client()
    sign_in(client, "ann", "wrong")
    sign_in(client, "ann", PASSWORD)
    client.post("/admin/logout/", REMOTE_ADDR="192.0.2.1")
    assert told() == [
        ("failed to sign in", "ann", ""),
        ("signed in", "ann", "ann"),
        ("signed out", "ann", "ann"),
    ]
    rows = AuditEntry.objects.filter(kind="user").exclude(action="added")
    assert {row.address for row in rows} == {"192.0.2.1"}


def test_a_flood_is_told_once(ann):
    guess(times=12)
    assert told() == [("failed to sign in", "ann", "")] * 4 + [("was locked out", "ann", "")]


def test_no_password_is_in_the_log(ann):
    client = Client()
    sign_in(client, "ann", PASSWORD)
    typed = {
        "old_password": PASSWORD,
        "new_password1": "another long one",
        "new_password2": "another long one",
    }
    assert client.post("/admin/password_change/", typed).status_code == 302
    entry = AuditEntry.objects.filter(action="changed", name="ann").get()
    assert entry.changes == [{"field": "password", "old": "********", "new": "********"}]
    assert ann.password not in str(list(AuditEntry.objects.values_list("changes", flat=True)))


def test_users_groups_and_permissions_are_told(ann):
    client = Client()
    client.force_login(ann)
    bob = User.objects.create_user("bob")
    viewer = Group.objects.get(name="viewer")
    bob.groups.add(viewer)
    viewer.user_set.remove(bob)
    bob.groups.add(viewer)
    bob.groups.clear()
    bob.is_staff = True
    bob.save()
    bob.delete()
    rows = AuditEntry.objects.filter(name="bob").order_by("pk")
    changes = [
        (row.action, [(c["field"], c["old"], c["new"]) for c in row.changes]) for row in rows
    ]
    assert changes[0][0] == "added"
    assert changes[1:] == [
        ("changed", [("groups", None, "viewer")]),
        ("changed", [("groups", "viewer", None)]),
        ("changed", [("groups", None, "viewer")]),
        ("changed", [("groups", "viewer", None)]),
        ("changed", [("is_staff", False, True)]),
        ("removed", []),
    ]


@pytest.mark.parametrize(
    "weak", ["elevenchars", "123456789012345", "password1234", "ann-ann-ann1"]
)
def test_weak_passwords_are_refused(ann, weak):
    with pytest.raises(ValidationError):
        validate_password(weak, User(username="ann-ann-ann"))


def test_an_administrator_makes_and_changes_no_superuser(ann, django_user_model):
    bob = django_user_model.objects.create_user("bob", is_staff=True)
    bob.groups.add(Group.objects.get(name="administrator"))
    eve = django_user_model.objects.create_user("eve")
    client = Client()
    client.force_login(bob)
    page = client.get(f"/admin/auth/user/{eve.pk}/change/")
    fields = set(page.context["adminform"].form.fields)
    assert "groups" in fields
    assert not fields & {"is_superuser", "user_permissions"}
    assert client.get(f"/admin/auth/user/{ann.pk}/change/").status_code == 200  # to read
    for rest in ("change", "delete"):
        done = client.post(f"/admin/auth/user/{ann.pk}/{rest}/", {"post": "yes"})
        assert done.status_code == 403, rest
    assert client.post(f"/admin/auth/user/{ann.pk}/password/", {}).status_code == 403
    chosen = [str(ann.pk), str(eve.pk)]
    everybody = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    assert client.post("/admin/auth/user/", everybody).status_code == 403
    assert User.objects.count() == 3


def test_a_session_is_put_off_by_pages_and_not_by_refreshes(ann, settings, monkeypatch):
    client = Client()
    client.force_login(ann)
    client.get("/admin/")
    used = client.session[sessions.USED]
    monkeypatch.setattr(time, "time", lambda: used + 600)
    client.get("/admin/", headers={"sec-fetch-dest": "empty"})
    assert client.session[sessions.USED] == used
    done = client.get("/admin/", headers={"sec-fetch-dest": "document"})
    assert client.session[sessions.USED] == used + 600
    cookie = done.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie["samesite"], cookie["httponly"], cookie["max-age"]) == ("Lax", True, 28_800)


def test_signing_in_makes_a_new_session(ann, settings):
    client = Client()
    client.get(LOGIN)
    session = client.session
    session["kept"] = 1
    session.save()
    before = session.session_key
    sign_in(client, "ann", PASSWORD)
    assert client.session.session_key != before
