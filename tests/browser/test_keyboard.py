"""The console by keyboard alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from scripts.installation import PASSWORD, USER

FOCUSED = "document.activeElement"
# What one sees of the focus: an outline, or the frame of a field.
SEEN = """() => {
    const style = getComputedStyle(document.activeElement);
    const within = document.activeElement.closest(':focus-within');
    return style.outlineStyle !== 'none' || style.boxShadow !== 'none' ||
        getComputedStyle(within).outlineStyle !== 'none';
}"""
MOST = 150


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus; wherever it goes, it is seen."""
    for _ in range(MOST):
        if page.evaluate(f"selector => {FOCUSED}.matches(selector)", selector):
            assert page.evaluate(SEEN), f"{selector} does not show the focus"
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {selector}")


def type_at(page: Page, selector: str, text: str) -> None:
    tab_to(page, selector)
    page.keyboard.type(text)


@pytest.mark.browser_context_args(storage_state=None)
def test_one_signs_in_and_adds_a_pool(page):
    page.goto("/admin/login/")
    type_at(page, "[name=username]", USER)
    type_at(page, "[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    tab_to(page, "#nav-sidebar a[href='/admin/pools/pool/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/pools/pool/")
    tab_to(page, ".addlink")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/pools/pool/add/")
    type_at(page, "[name=name]", "typed")
    type_at(page, "[name=backends-0-host]", "10.8.0.1")
    type_at(page, "[name=backends-0-port]", "8080")
    tab_to(page, "details:has([name=retry_attempts]) > summary")
    page.keyboard.press("Enter")
    type_at(page, "[name=retry_attempts]", "3")
    tab_to(page, "[name=_save]")
    page.keyboard.press("Enter")
    expect(page.locator("#main").get_by_text("Revision ").first).to_be_visible()
    expect(page.get_by_role("link", name="typed").first).to_be_visible()


def test_a_link_leads_past_the_side_bar(page):
    page.goto("/admin/pools/pool/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to main content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = page.evaluate(f"document.getElementById('content').contains({FOCUSED})")
    assert inside


def test_a_row_of_a_form_is_removed_and_kept_again(page, installation):
    page.goto(installation.path("pool"))
    tab_to(page, "[name=backends-0-DELETE]")
    page.keyboard.press("Space")
    expect(page.get_by_text("This item will be deleted.").first).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_text("This item will be deleted.").first).to_be_hidden()


def test_the_menu_of_the_user_opens_and_closes(page):
    page.goto("/admin/")
    tab_to(page, "[aria-controls=user-links]")
    page.keyboard.press("Enter")
    log_out = page.get_by_role("button", name="Log out")
    expect(log_out).to_be_visible()
    page.keyboard.press("Escape")
    expect(log_out).to_be_hidden()


def test_filters_open_and_close(page):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/admin/pools/backend/")
    tab_to(page, "[aria-controls=changelist-filter]")
    page.keyboard.press("Enter")
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter")).to_be_hidden()


def test_the_side_bar_opens_on_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/admin/")
    tab_to(page, "[aria-controls=nav-sidebar]")
    page.keyboard.press("Enter")
    expect(page.locator("#nav-sidebar")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#nav-sidebar")).to_be_hidden()


@pytest.mark.browser_context_args(reduced_motion="reduce")
def test_nothing_moves_for_who_does_not_want_it(page):
    page.goto("/admin/pools/pool/")
    longest = page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('*')].map("
        "one => parseFloat(getComputedStyle(one).transitionDuration)))"
    )
    assert longest < 0.01
