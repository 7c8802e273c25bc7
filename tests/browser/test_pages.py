"""Every page of the console, as eyes, screen readers and phones meet it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import Page

from scripts.installation import OUTSIDE, PAGES
from tests.browser.pages import FORGIVEN, NO_PAGE

WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "resultTypes": ["violations"],
}
# Of what is long the first ones are enough: they are alike, and axe takes its time.
PART = {"exclude": [[f"{one}:nth-of-type(n+6)"] for one in ("option", "tbody", "tr")]}
PHONE = {"width": 360, "height": 740}


def violations(page: Page) -> list[str]:
    """What axe finds, one line for each element, without what is forgiven."""
    return [
        f"{rule['id']} at {node['target']}: {node['html'][:200]} ({', '.join(said(node))})"
        for rule in Axe().run(page, context=PART, options=WCAG).response["violations"]
        for node in rule["nodes"]
        if not any(rule["id"] == name and part in node["html"] for name, part in FORGIVEN)
    ]


def said(node: dict) -> list[str]:
    return [check["message"] for check in node["any"] + node["all"] + node["none"]]


def too_wide(page: Page) -> int:
    """By how many pixels it has to be scrolled sideways."""
    return page.evaluate(
        "() => { const root = document.documentElement;"
        " return root.scrollWidth - root.clientWidth }"
    )


def look_at(page: Page, path: str) -> None:
    """All of the page, wide and light, then narrow and dark."""
    answer = page.goto(path)
    assert answer and answer.status == 200, path
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    assert violations(page) == []
    assert too_wide(page) == 0
    page.set_viewport_size(PHONE)
    page.evaluate("document.documentElement.classList.add('dark')")
    assert violations(page) == []
    assert too_wide(page) == 0


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(page, installation, name):
    look_at(page, installation.path(name))


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_page_for_who_is_not_signed_in_is_for_everybody(page, installation, name):
    page.context.clear_cookies()
    look_at(page, installation.path(name))


def test_every_address_of_the_console_is_looked_at():
    """A page that is added comes into the table, or says in NO_PAGE why it is none."""
    paths = (path.format_map(AnyId()) for path in (PAGES | OUTSIDE).values())
    looked_at = {resolve(path.partition("?")[0]).view_name for path in paths}
    assert looked_at | set(NO_PAGE) == set(named(get_resolver()))
    assert looked_at & set(NO_PAGE) == set()


class AnyId(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "1"


def named(resolver: URLResolver, space: str = "") -> Iterator[str]:
    """The names of all addresses, with their namespaces."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from named(pattern, inner)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield f"{space}{pattern.name}"
