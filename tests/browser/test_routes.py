"""Routes in their order, and the tester."""

from __future__ import annotations

from playwright.sync_api import expect


def test_routes_stand_in_the_order_in_which_they_match(page):
    page.goto("/admin/pools/route/")
    names = page.locator("#result_list tbody .field-name").all_inner_texts()
    names = [name.strip() for name in names]
    assert names.index("shop-beta") < names.index("shop") < names.index("shop-old")
    shadowed = page.locator("#result_list tbody tr", has_text="shop-old")
    expect(shadowed).to_contain_text("never taken")
    expect(shadowed.get_by_role("link", name="shop", exact=True).first).to_be_visible()


def test_the_tester_shows_what_becomes_of_a_request(page):
    page.goto("/admin/pools/route/")
    page.get_by_role("link", name="Test a request").click()
    page.get_by_label("URL").fill("http://shop.example.com/cart?id=7")
    page.get_by_label("Headers", exact=True).fill("X-Beta: 1\nX-Version: 2\nX-Debug: 1")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("heading", name="taken shop-beta → shop")).to_be_visible()
    headers = page.get_by_role("region", name="Headers that the backend gets").last
    expect(headers.locator("tr", has_text="X-Stage")).to_contain_text("beta")
    expect(headers.locator("tr.pools-left-out", has_text="X-Debug")).to_be_visible()
    backends = page.get_by_role("region", name="Backends").last
    expect(backends).to_contain_text("10.0.0.11:8000")
    expect(backends).to_contain_text("%")

    page.get_by_label("Headers", exact=True).fill("X-Beta: 1\nX-Version: 3")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("heading", name="taken shop → shop")).to_be_visible()
    passed_over = page.get_by_role("region", name="Passed over").last
    expect(passed_over.locator("tr", has_text="shop-beta")).to_contain_text("X-Version")
