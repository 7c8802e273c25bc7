"""Every page of the console, as eyes and screen readers meet it."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from scripts.installation import PAGES

WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "resultTypes": ["violations"],
}
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


def violations(page) -> list[str]:
    found = Axe().run(page, options=WCAG).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:220]} {node['target']} "
        f"{[check['message'] for check in node['any'] + node['all'] + node['none']]}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_good_for_everybody(page, installation, name):
    page.set_viewport_size(DESKTOP)
    page.goto(installation.path(name))
    assert violations(page) == []
