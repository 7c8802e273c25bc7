"""Ways around signing in that lead nowhere."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.proxysite.signing import sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("console_alone")]

HERE = "127.0.0.1"


def test_a_forwarded_address_of_a_stranger_does_not_get_around_the_lock(ann, settings):
    client = Client()
    for number in range(settings.AXES_FAILURE_LIMIT):
        forwarded = {"x-forwarded-for": f"203.0.113.{number}"}
        sign_in(client, password="wrong", address=HERE, headers=forwarded)
    forwarded = {"x-forwarded-for": "203.0.113.99"}
    assert sign_in(client, address=HERE, headers=forwarded).status_code == 429


def test_without_the_code_no_page_is_opened_and_each_code_is_good_once(ann):
    device = TOTPDevice.objects.create(user=ann, name="app", confirmed=True)
    spare = StaticDevice.objects.create(user=ann, name="recovery", confirmed=True)
    spare.token_set.create(token="abcdefgh")
    client = Client()
    assert sign_in(client).status_code == 302
    key = client.session.session_key
    for page in ("/admin/", "/admin/codes/", "/admin/pools/pool/", "/admin/password_change/"):
        assert client.get(page)["Location"].startswith(reverse("code")), page
    assert client.post("/admin/codes/", {"step": "begin"})["Location"] == reverse("code")
    code = f"{totp(device.bin_key):06}"
    assert client.post("/admin/code/", {"code": code, "next": "//evil.example"})[
        "Location"
    ] == reverse("admin:index")
    assert client.session.session_key != key
    assert client.get("/admin/").status_code == 200
    other = Client()
    sign_in(other)
    assert other.post("/admin/code/", {"code": code}).status_code == 200
    assert other.get("/admin/").status_code == 302
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert other.post("/admin/code/", {"code": "abcdefgh"}).status_code == 302
    third = Client()
    sign_in(third)
    assert third.post("/admin/code/", {"code": "abcdefgh"}).status_code == 200
    assert third.get("/admin/").status_code == 302


def test_the_language_is_chosen_before_the_code(ann):
    TOTPDevice.objects.create(user=ann, name="app", confirmed=True)
    client = Client()
    sign_in(client)
    answer = client.post("/admin/language/", {"language": "ko", "next": "/admin/code/"})
    assert answer.cookies["proxysite_language"].value == "ko"
