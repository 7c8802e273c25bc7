"""All that changes something works with JavaScript off."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in

pytestmark = pytest.mark.browser_context_args(java_script_enabled=False)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def said(page: Page, text: str) -> None:
    expect(page.locator("#main").get_by_text(text).first).to_be_visible()


def unfold(page: Page, title: str) -> None:
    page.locator("summary").filter(has_text=title).first.click()


def add_pool(page: Page, name: str) -> None:
    page.goto("/admin/pools/pool/add/")
    page.locator("[name=name]").fill(name)
    page.locator("[name=backends-0-host]").fill("10.9.0.1")
    page.locator("[name=backends-0-port]").fill("8080")
    save(page)
    said(page, "Revision ")


@pytest.mark.browser_context_args(java_script_enabled=False, storage_state=None)
def test_one_signs_in_and_out(page):
    sign_in(page)
    page.get_by_role("button", name="Log out").click()
    said_out = page.get_by_text("You have been successfully logged out")
    expect(said_out.first).to_be_visible()


def test_a_pool_is_added_with_its_backends_and_its_probe_is_edited(page):
    add_pool(page, "scriptless")
    page.goto("/admin/pools/backend/add/")
    page.locator("[name=pool]").select_option(label="scriptless")
    page.locator("[name=host]").fill("10.9.0.2")
    page.locator("[name=port]").fill("8080")
    save(page)
    said(page, "Revision ")

    page.goto("/admin/pools/pool/?q=scriptless")
    page.get_by_role("link", name="scriptless").first.click()
    unfold(page, "Probe")
    page.locator("[name=probe_kind]").select_option("tcp")
    page.locator("[name=probe_expect]").fill("+PONG")
    save(page)
    said(page, "Revision ")

    page.goto("/admin/pools/pool/?q=scriptless")
    page.get_by_role("link", name="scriptless").first.click()
    unfold(page, "Probe")
    expect(page.locator("[name=probe_expect]")).to_have_value("+PONG")
    expect(page.locator("[name$='-host']:visible")).to_have_count(2)


def test_what_is_wrong_is_unfolded(page):
    page.goto("/admin/pools/pool/add/")
    page.locator("[name=name]").fill("wrong")
    unfold(page, "Retries")
    page.locator("[name=retry_attempts]").fill("99")
    save(page)
    expect(page.locator("[name=retry_attempts]")).to_be_visible()
    expect(page.locator("[name=retry_attempts]")).to_have_value("99")


def test_a_routing_rule_is_added(page):
    add_pool(page, "scriptless-routed")
    page.goto("/admin/pools/route/add/")
    page.locator("[name=name]").fill("scriptless")
    page.locator("[name=path_prefix]").fill("/scriptless")
    page.locator("[name=pool]").select_option(label="scriptless-routed")
    unfold(page, "Conditions")
    page.locator("[name=methods]").fill("GET")
    save(page)
    said(page, "Revision ")


def test_a_backend_is_drained(page):
    add_pool(page, "scriptless-drained")
    page.goto("/admin/pools/backend/?q=scriptless-drained")
    page.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("drain")
    page.get_by_role("button", name="Run").click()
    said(page, "Drained scriptless-drained/10.9.0.1:8080")


def test_lists_are_filtered_and_searched(page):
    page.goto("/admin/pools/backend/")
    page.locator("#changelist-filter").get_by_role("link", name="Drain", exact=True).click()
    expect(page.locator("#result_list tbody").filter(has_text="10.0.1.22")).to_be_visible()
    expect(page.locator("#result_list tbody").filter(has_text="10.0.1.21")).to_have_count(0)
    page.goto("/admin/pools/backend/")
    page.locator("#searchbar").fill("10.0.0.1")
    page.keyboard.press("Enter")
    expect(page).to_have_url("/admin/pools/backend/?q=10.0.0.1")


def test_the_language_is_changed(page):
    page.goto("/admin/pools/pool/")
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_phone_has_the_side_bar_too(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/admin/")
    page.locator("#nav-sidebar").get_by_role("link", name="Backends").click()
    expect(page).to_have_url("/admin/pools/backend/")
