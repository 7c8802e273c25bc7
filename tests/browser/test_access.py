"""Who may come in, and what each then sees."""

from __future__ import annotations

import re
import time
from base64 import b32decode

import pytest
from django_otp.oath import hotp
from playwright.sync_api import Page, expect

from scripts.installation import PASSWORD
from tests.browser.conftest import said, sign_in

pytestmark = pytest.mark.browser_context_args(storage_state=None)

STEP_S = 30


def log_out(page: Page) -> None:
    page.locator("[aria-controls=user-links]").click()
    page.get_by_role("button", name="Log out").click()


def test_a_viewer_reads_all_and_finds_nothing_to_press(page, installation, troubles):
    sign_in(page, "vera")
    main = page.locator("#main")
    page.goto("/admin/pools/backend/")
    expect(page.get_by_role("link", name="10.0.0.11:8000")).to_be_visible()
    expect(page.locator("select[name=action], input.action-select")).to_have_count(0)
    expect(page.locator("#result_list button[name=to]")).to_have_count(0)
    expect(page.locator(".addlink")).to_have_count(0)
    for name in ("pool", "backend", "route", "channel", "revision"):
        page.goto(installation.path(name))
        expect(page.get_by_role("heading").first).to_be_visible()
        acting = main.get_by_role("button", name=re.compile("Save|Delete|Probe now|Restore"))
        expect(acting).to_have_count(0)
        acting = main.get_by_role("link", name=re.compile("^(Delete|Restore|Paste)"))
        expect(acting).to_have_count(0)
    answer = page.goto("/admin/pools/pool/add/")
    assert answer and answer.status == 403
    troubles.expected("status 403")


def test_a_member_of_a_team_sees_and_changes_the_teams_alone(page, installation):
    sign_in(page, "dana")
    page.goto("/admin/pools/pool/")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="images", exact=True).first).to_be_visible()
    page.goto("/admin/pools/backend/")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.goto(installation.path("pool"))
    expect(page).to_have_url("/admin/")
    page.goto("/admin/pools/pool/")
    page.get_by_role("link", name="images", exact=True).first.click()
    page.get_by_label("Comment").fill("Ours")
    page.locator("[name=retry_attempts]").evaluate("field => { field.value = 3 }")
    page.get_by_role("button", name="Save", exact=True).click()
    said(page, "Revision ")


def test_wrong_passwords_are_held_back(page, troubles):
    page.goto("/admin/login/")
    for _ in range(5):
        page.get_by_label("Username").fill("mallory")
        page.get_by_label("Password").fill("a guess")
        with page.expect_navigation():
            page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("minutes")
    troubles.expected("status 429")


def test_a_code_is_asked_for_once_it_is_turned_on(page):
    sign_in(page, "cora")
    page.goto("/admin/codes/")
    page.get_by_role("button", name="Set up").click()
    key = page.locator("section code").inner_text().replace(" ", "")
    secret = b32decode(key + "=" * (-len(key) % 8))
    at = int(time.time()) // STEP_S
    page.get_by_label("One-time code").fill(f"{hotp(secret, at):06d}")
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator(".codes-list li")).to_have_count(10)

    log_out(page)
    page.goto("/admin/login/?next=/admin/pools/pool/")
    page.get_by_label("Username").fill("cora")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/code/**")
    page.goto("/admin/pools/backend/")
    page.wait_for_url("**/admin/code/**")
    page.get_by_label("One-time code").fill(f"{hotp(secret, at + 1):06d}")  # each is good once
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/admin/pools/backend/")
