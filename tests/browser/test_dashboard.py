"""The dashboard, as somebody looks at it while the proxy works."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import go_on

BUSY = "shop/10.0.0.11:8000"


@pytest.fixture
def carried(rows) -> Iterator[None]:
    rows.carries(120, BUSY)
    yield
    rows.carries_nothing()


def tile(page: Page, name: str):
    return page.locator(".pools-tile", has=page.get_by_text(name, exact=True))


def test_tiles_and_pools_follow_what_is_carried(page, rows, carried):
    page.goto("/admin/pools/pool/dashboard/")
    expect(tile(page, "Requests").locator(".pools-figure")).to_have_text("120")
    expect(tile(page, "Connections").locator(".pools-figure")).to_have_text("7")
    expect(tile(page, "Backends up")).to_contain_text(re.compile(r"\d+ of \d+\s+\d+ down"))
    shop = page.locator("tbody tr", has=page.get_by_role("link", name="shop", exact=True))
    expect(shop).to_contain_text("120")

    rows.carries(250, BUSY)
    go_on(page)
    expect(tile(page, "Requests").locator(".pools-figure")).to_have_text("250")
    expect(shop).to_contain_text("250")


def test_warnings_say_what_is_wrong_and_the_mend(page):
    page.goto("/admin/pools/pool/dashboard/")
    warnings = page.get_by_role("region", name="Warnings")
    expect(warnings.get_by_role("listitem").first).to_contain_text("urgent")
    expect(warnings).to_contain_text("manage.py serve")


def test_plots_of_a_window_are_drawn_and_stand_in_a_table_too(page):
    page.goto("/admin/pools/pool/dashboard/")
    page.get_by_role("navigation", name="Time shown").get_by_role("link", name="24").click()
    chosen = page.get_by_role("navigation", name="Time shown").locator("[aria-current]")
    expect(chosen).to_contain_text("24")
    requests = page.locator("figure", has=page.get_by_text("Requests", exact=True)).first
    canvas = requests.get_by_role("img")
    expect(canvas.locator("canvas")).to_be_visible()
    expect(canvas).not_to_have_attribute(
        "data-empty", "No figures yet: they come with requests."
    )
    drawn = canvas.locator("canvas").evaluate(
        "node => node.getContext('2d').getImageData(0, 0, node.width, node.height)"
        ".data.some(value => value > 0)"
    )
    assert drawn
    requests.get_by_text("As a table").click()
    expect(requests.locator("tbody tr").nth(3)).to_contain_text("/s")
