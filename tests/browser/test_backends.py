"""Backends, as operators switch, weigh, probe and add them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests import services
from tests.browser.conftest import go_on, said, save


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def answering() -> Iterator[str]:
    """The address of a backend that is well."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def row(page: Page, address: str):
    link = page.get_by_role("link", name=address, exact=True)
    return page.locator("#result_list tbody tr", has=link)


def choose(page: Page, *addresses: str) -> None:
    for address in addresses:
        row(page, address).locator("input.action-select").check()


def run(page: Page, action: str) -> None:
    page.locator("select[name=action]").select_option(action)
    page.get_by_role("button", name="Run").click()


def test_several_are_drained_at_once_and_made_ready_again(page):
    several = ("10.1.0.10:8080", "10.1.0.11:8080")
    page.goto("/admin/pools/backend/?q=10.1.0.1")
    choose(page, *several)
    run(page, "drain")
    said(page, "Drained ")
    expect(page).to_have_url("/admin/pools/backend/?q=10.1.0.1")
    for address in several:
        pressed = row(page, address).locator("button[aria-pressed=true]")
        expect(pressed).to_have_text("drain")
    row(page, several[0]).get_by_role("button", name="ready").click()
    expect(row(page, several[0]).locator("button[aria-pressed=true]")).to_have_text("ready")


def test_a_weight_is_set_of_those_that_were_chosen(page):
    page.goto("/admin/pools/backend/?q=10.1.0.2")
    choose(page, "10.1.0.20:8080", "10.1.0.21:8080")
    run(page, "set_weight")
    page.get_by_label("Weight of 2 backends").fill("7")
    page.get_by_role("button", name="Set weight").click()
    said(page, "Set weight 7 of ")
    for address in ("10.1.0.20:8080", "10.1.0.21:8080"):
        expect(row(page, address).locator(".field-weighs")).to_have_text("7")


def test_cells_go_on_while_rows_are_ticked(page, rows):
    page.goto("/admin/pools/backend/?q=10.1.0.3")
    choose(page, "10.1.0.30:8080")
    one = row(page, "10.1.0.30:8080")
    expect(one).to_contain_text("up")
    rows.finds(int(one.locator("input.action-select").input_value()), "down", "no route to it")
    go_on(page)
    expect(one).to_contain_text("no route to it")
    expect(one.locator("input.action-select")).to_be_checked()


def test_pasted_lines_are_tested_saved_and_probed(page, answering):
    refused = f"127.0.0.1:{services.free_port()}"
    page.goto("/admin/pools/pool/")
    page.get_by_role("link", name="Add a pool from a list").click()
    page.get_by_label("Name").fill("pasted")
    page.get_by_label("Backends", exact=True).fill(f"{answering} weight=2\n{refused}\n")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_role("heading", name="1 of 2 backends are healthy")).to_be_visible()
    answers = page.get_by_role("region", name="Answers").locator("tbody > tr")
    expect(answers.filter(has_text=answering).first).to_contain_text("200")
    expect(answers.filter(has_text=refused).first).to_contain_text("refused")
    expect(page.get_by_label("Name")).to_have_value("pasted")

    save(page)
    said(page, "Added pool pasted")
    page.goto("/admin/pools/backend/?q=pasted")
    expect(row(page, answering).locator(".field-weighs")).to_have_text("2")
    choose(page, answering, refused)
    run(page, "probe_now")
    expect(page.get_by_text("1 of 2 backends are healthy.")).to_be_visible()
    page.get_by_role("link", name="Back", exact=True).click()
    expect(row(page, answering)).to_be_visible()


def test_the_page_of_one_shows_its_day(page, installation):
    page.goto(installation.path("backend"))
    strip = page.get_by_role("img", name="Health of the last 24 hours")
    expect(strip).to_have_attribute("aria-label", re.compile("down once"))
    expect(page.locator(".pools-plot-canvas canvas").first).to_be_visible()
    events = page.get_by_role("region", name="Recent events")
    expect(events).to_contain_text("connection refused")
