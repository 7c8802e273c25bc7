"""One-time codes, from turning them on to losing the phone."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from pools.models import AuditEntry
from tests.proxysite.signing import PASSWORD, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("console_alone")]

PAGE, ASKED = "/admin/codes/", "/admin/code/"


@pytest.fixture
def client(ann) -> Client:
    client = Client()
    client.force_login(ann)
    return client


def code(user: User) -> str:
    """What the app shows; the last one counts as not given yet."""
    device = TOTPDevice.objects.get(user=user)
    TOTPDevice.objects.filter(pk=device.pk).update(last_t=-1)
    return f"{TOTP(device.bin_key).token():06d}"


def turned_on(client: Client, user: User) -> list[str]:
    """Turn codes on; the recovery codes."""
    client.post(PAGE, {"step": "begin"})
    page = client.post(PAGE, {"step": "confirm", "code": code(user)}).content.decode()
    found = re.findall(r"<li><code>(\w+)</code></li>", page)
    assert len(found) == 10
    return found


def wait_is_over() -> None:
    """As if the time that wrong codes cost had passed."""
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)


def actions() -> set[str]:
    return set(AuditEntry.objects.values_list("action", flat=True))


def test_nothing_is_asked_of_who_has_none(client):
    assert client.get("/admin/").status_code == 200
    assert client.get(ASKED).status_code == 302


def test_codes_are_turned_on_by_giving_one(client, ann):
    assert "Set up" in client.get(PAGE).content.decode()
    assert client.post(PAGE, {"step": "begin"}).status_code == 302
    page = client.get(PAGE).content.decode()
    assert 'src="data:image/svg+xml' in page
    assert re.search(r"<code>(\w{4} ){7}\w{4}</code>", page)
    assert client.get("/admin/").status_code == 200  # not in use before a code was given
    wrong = client.post(PAGE, {"step": "confirm", "code": "000000"})
    assert "This code is not right" in wrong.content.decode()
    wait_is_over()
    done = client.post(PAGE, {"step": "confirm", "code": code(ann)}).content.decode()
    assert "Your recovery codes" in done
    assert "10 recovery codes are left" in client.get(PAGE).content.decode()
    assert client.get("/admin/").status_code == 200
    assert "turned one-time codes on" in actions()


def test_the_password_alone_leads_to_the_question_and_nowhere_else(client, ann):
    turned_on(client, ann)
    other = Client()
    sign_in(other, "ann", PASSWORD)
    for page in ("/admin/", "/admin/pools/pool/", PAGE, "/admin/password_change/"):
        done = other.get(page)
        assert done.status_code == 302, page
        assert done.headers["Location"].startswith(f"{ASKED}?next="), page
    assert other.post("/admin/auth/user/add/", {}).headers["Location"] == ASKED
    assert other.post(PAGE, {"step": "off", "code": "1"}).headers["Location"] == ASKED


def test_a_code_lets_in_to_where_one_wanted(client, ann):
    turned_on(client, ann)
    other = Client()
    sign_in(other, "ann", PASSWORD)
    asked = other.get("/admin/pools/pool/").headers["Location"]
    assert "recovery" in other.get(asked).content.decode()
    before = other.session.session_key
    done = other.post(asked, {"code": code(ann), "next": "/admin/pools/pool/"})
    assert done.headers["Location"] == "/admin/pools/pool/"
    assert other.get("/admin/pools/pool/").status_code == 200
    assert other.session.session_key != before
    assert "gave a one-time code" in actions()


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "javascript:x"]
)
def test_nobody_is_led_to_another_host(client, ann, elsewhere):
    turned_on(client, ann)
    other = Client()
    sign_in(other, "ann", PASSWORD)
    done = other.post(ASKED, {"code": code(ann), "next": elsewhere})
    assert done.headers["Location"] == "/admin/"


def test_a_code_is_good_once(client, ann):
    turned_on(client, ann)
    given = code(ann)
    for status in (302, 200):
        other = Client()
        sign_in(other, "ann", PASSWORD)
        assert other.post(ASKED, {"code": given}).status_code == status


def test_wrong_codes_make_it_wait(client, ann):
    turned_on(client, ann)
    other = Client()
    sign_in(other, "ann", PASSWORD)
    for _ in range(3):
        other.post(ASKED, {"code": "000000"})
        TOTPDevice.objects.update(throttling_failure_count=5)
    page = other.post(ASKED, {"code": code(ann)}).content.decode()
    assert re.search(r"Too many wrong codes: wait \d+ seconds", page)
    assert other.get("/admin/").status_code == 302
    assert "gave a wrong one-time code" in actions()


def test_a_recovery_code_lets_in_once(client, ann):
    first, *_ = turned_on(client, ann)
    for status in (302, 200):
        other = Client()
        sign_in(other, "ann", PASSWORD)
        assert other.post(ASKED, {"code": first.upper()}).status_code == status
    assert StaticToken.objects.count() == 9
    assert "used a recovery code" in actions()


def test_new_recovery_codes_take_the_place_of_old_ones(client, ann):
    old = turned_on(client, ann)
    page = client.post(PAGE, {"step": "recovery", "code": code(ann)}).content.decode()
    new = re.findall(r"<li><code>(\w+)</code></li>", page)
    assert len(new) == 10 and not set(new) & set(old)
    assert set(StaticToken.objects.values_list("token", flat=True)) == set(new)


def test_codes_are_turned_off_by_giving_one(client, ann):
    turned_on(client, ann)
    client.post(PAGE, {"step": "off", "code": "000000"})
    assert TOTPDevice.objects.filter(confirmed=True).exists()
    wait_is_over()
    client.post(PAGE, {"step": "off", "code": code(ann)})
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()
    assert "turned one-time codes off" in actions()


def test_an_administrator_turns_them_off_for_another(client, ann, django_user_model):
    bob = django_user_model.objects.create_user("bob", is_staff=True)
    bob.groups.add(Group.objects.get(name="administrator"))
    turned_on(client, ann)
    theirs = Client()
    theirs.force_login(bob)
    turned_on(theirs, bob)
    # Not for a superuser, whom an administrator may not change.
    chosen = {"action": "turn_codes_off", "_selected_action": [str(ann.pk), str(bob.pk)]}
    assert theirs.post("/admin/auth/user/", chosen).status_code == 302
    assert set(TOTPDevice.objects.values_list("user__username", flat=True)) == {"ann"}


def test_they_can_be_required_of_all(client, ann, settings):
    settings.REQUIRE_CODES = True
    assert client.get("/admin/pools/pool/").headers["Location"].startswith(f"{PAGE}?next=")
    page = client.get(PAGE).content.decode()
    assert "asks everybody for them" in page
    turned_on(client, ann)
    assert client.get("/admin/pools/pool/").status_code == 200


def test_health_checks_need_no_code(client, ann):
    turned_on(client, ann)
    other = Client()
    sign_in(other, "ann", PASSWORD)
    assert other.get("/-/healthz").status_code == 200


def test_one_can_sign_out_before_the_code(client, ann):
    turned_on(client, ann)
    other = Client()
    sign_in(other, "ann", PASSWORD)
    assert other.post("/admin/logout/").status_code == 200
    assert other.get("/admin/").headers["Location"].startswith("/admin/login/")


def test_strangers_are_led_to_sign_in():
    for page in (PAGE, ASKED):
        assert Client().get(page).headers["Location"].startswith("/admin/login/")
