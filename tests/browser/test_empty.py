"""An installation that has nothing yet: its first screen leads to the first request."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Troubles, said, save, sign_in


def test_first_steps_lead_to_a_pool_and_a_route(browser, empty):
    troubles = Troubles(empty.url)
    context = browser.new_context(base_url=empty.url, locale="en-GB")
    with context, troubles.watching(context):
        page = context.new_page()
        sign_in(page)
        steps = page.get_by_role("region", name="To your first proxied request")
        steps.get_by_role("link", name="Add your first pool").click()
        page.locator("[name=name]").fill("first")
        page.locator("[name=backends-0-host]").fill("127.0.0.1")
        page.locator("[name=backends-0-port]").fill("9")
        save(page)
        said(page, "Revision 1")

        page.goto("/admin/")
        done = steps.get_by_role("listitem").filter(has_text="done")
        expect(done).to_have_count(1)
        expect(done).to_contain_text("Add your first pool")
        steps.get_by_role("link", name="Add a route").click()
        page.locator("[name=name]").fill("all")
        page.locator("[name=pool]").select_option(label="first")
        save(page)
        said(page, "Revision 2")

        page.goto("/admin/")
        expect(done).to_have_count(2)
        expect(steps.locator("pre")).to_contain_text("curl ")
    assert troubles.found == []
