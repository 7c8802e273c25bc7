"""What was saved: followed, read, restored, staged; and two people at the same object."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import said, save

AWAY = "elsewhere:7"


def add_pool(page: Page, name: str) -> str:
    """A pool of the test's own; the address of its page."""
    page.goto("/admin/pools/pool/add/")
    page.locator("[name=name]").fill(name)
    page.locator("[name=backends-0-host]").fill("10.7.0.1")
    page.locator("[name=backends-0-port]").fill("8080")
    page.get_by_role("button", name="Save and continue editing").click()
    said(page, "Revision ")
    return page.url


def policy(page: Page):
    return page.locator("select[name=policy]")


def test_a_save_is_commented_read_and_restored(page):
    mine = add_pool(page, "restored")
    policy(page).select_option("least_requests")
    page.get_by_label("Comment").fill("Some requests are slow")
    save(page)
    said(page, "Revision ")

    page.goto("/admin/pools/revision/")
    newest = page.locator("#result_list tbody tr").first
    expect(newest).to_contain_text("Some requests are slow")
    newest.get_by_role("link").first.click()
    changed = page.get_by_role("region", name="What it changed")
    expect(changed.get_by_role("heading", name="Pool restored")).to_be_visible()
    expect(changed.locator(".pools-change-old")).to_have_text("round_robin")
    expect(changed.locator(".pools-change-new")).to_have_text("least_requests")

    page.goto("/admin/pools/revision/")
    before = page.locator("#result_list tbody tr").nth(1)
    before.get_by_role("link").first.click()
    page.get_by_role("link", name="Restore this revision").click()
    expect(page.locator(".pools-change-old")).to_have_text("least_requests")
    expect(page.locator(".pools-change-new")).to_have_text("round_robin")
    page.get_by_role("button", name=re.compile("^Restore revision")).click()
    said(page, "Revision ")
    page.goto(mine)
    expect(policy(page)).to_have_value("round_robin")


def test_who_saves_second_is_told_and_nothing_is_overwritten(page, context, troubles):
    mine = add_pool(page, "shared")
    other = page.context.browser.new_context(
        base_url=troubles.host, storage_state=context.storage_state(), locale="en-GB"
    )
    with other, troubles.watching(other):
        second = other.new_page()
        second.goto(mine)
        policy(page).select_option("least_requests")
        save(page)
        said(page, "Revision ")

        policy(second).select_option("power_of_two")
        save(second)
        expect(second.get_by_role("heading", name="Somebody else was faster")).to_be_visible()
        collision = second.get_by_role("region", name="What the other changed")
        for text in ("round_robin", "least_requests", "power_of_two"):
            expect(collision).to_contain_text(text)
        expect(policy(second)).to_have_value("power_of_two")
    page.goto(mine)
    expect(policy(page)).to_have_value("least_requests")


@pytest.fixture
def away(rows) -> Iterator[None]:
    """A gateway that has read no revision yet."""
    rows.runs("gateway", AWAY, revision=0)
    yield
    rows.ends(AWAY)


def test_a_save_says_who_has_it_in_force(page, rows, away):
    add_pool(page, "followed")
    line = page.locator(".pools-followers").first
    expect(line).to_contain_text(re.compile(r"in force in \d of \d process"))
    expect(line).to_contain_text(f"behind: gateway {AWAY}")
    rows.runs("gateway", AWAY, revision=10_000)
    expect(line).not_to_contain_text("behind")
    expect(line).to_contain_text(re.compile(r"in force in (\d) of \1 process"))


@pytest.fixture
def unstaged(rows) -> Iterator[None]:
    yield
    rows.write("DELETE FROM pools_draft")
    rows.write("UPDATE pools_publishedstate SET staged = NULL")


def test_edits_gather_and_are_published_or_thrown_away(page, unstaged):
    mine = add_pool(page, "gathered")
    page.goto("/admin/pools/draft/")
    page.get_by_role("button", name="Switch staged mode on").click()
    said(page, "Staged mode is on")

    page.goto(mine)
    policy(page).select_option("least_requests")
    save(page)
    page.get_by_role("link", name="Review it").first.click()
    one = page.locator(".pools-change-group")
    expect(one.get_by_role("heading", name="pool gathered")).to_be_visible()
    expect(one.locator(".pools-change-old")).to_have_text("round_robin")
    expect(one.locator(".pools-change-new")).to_have_text("least_requests")
    page.get_by_role("button", name="Publish 1 change").click()
    said(page, "The draft is published.")
    said(page, "Nothing waits.")

    page.goto(mine)
    policy(page).select_option("power_of_two")
    save(page)
    page.get_by_role("link", name="Review it").first.click()
    page.get_by_role("button", name="Throw all away").click()
    said(page, "1 change was thrown away.")
    page.get_by_role("button", name="Switch staged mode off").click()
    said(page, "Staged mode is off")
    page.goto(mine)
    expect(policy(page)).to_have_value("least_requests")
