#!/usr/bin/env python
"""Makes the pictures of the console that README and documentation show.

    python -m scripts.screenshots                    docs/images/*.png, light and dark
    python -m scripts.screenshots --review DIR       every page, light, dark and narrow

The console is that of scripts.installation, drawn by the distribution's Chromium.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, StorageState, ViewportSize, sync_playwright

from scripts import installation
from scripts.alive import alive
from scripts.installation import OUTSIDE, PAGES, ROOT

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--hide-scrollbars")
Scheme = Literal["light", "dark"]

# What README and documentation show, with the height of each picture.
SHOWN = {
    "index": 1000,
    "pools": 520,
    "pool": 900,
    "backends": 640,
    "routes": 480,
    "revision": 520,
}
WIDE, NARROW = 1280, 360


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--review", type=Path, metavar="DIR", help="draw every page into DIR")
    parser.add_argument("--only", nargs="*", metavar="PAGE", help="these pages alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proxysite-screenshots-") as folder:
        ids = installation.made(Path(folder))
        with (
            alive(Path(folder)),
            installation.served(Path(folder)) as url,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            camera = Camera(browser, url, ids)
            if options.review:
                options.review.mkdir(parents=True, exist_ok=True)
                for page in options.only or (PAGES | OUTSIDE):
                    camera.review(page, options.review)
            else:
                for page in options.only or SHOWN:
                    camera.show(page, ROOT / "docs" / "images")
            browser.close()


class Camera:
    """Draws pages of the console at `url`, signed in."""

    def __init__(self, browser: Browser, url: str, ids: dict[str, int]) -> None:
        self._browser, self._url, self._ids = browser, url, ids
        self._session = self._sign_in()

    def show(self, name: str, folder: Path) -> None:
        schemes: tuple[Scheme, ...] = ("light", "dark")
        for scheme in schemes:
            suffix = "" if scheme == "light" else f"-{scheme}"
            self._draw(name, folder / f"{name}{suffix}.png", WIDE, SHOWN[name], scheme)

    def review(self, name: str, folder: Path) -> None:
        self._draw(name, folder / f"{name}.light.png", WIDE, 1000, "light", whole=True)
        self._draw(name, folder / f"{name}.dark.png", WIDE, 1000, "dark", whole=True)
        self._draw(name, folder / f"{name}.narrow.png", NARROW, 740, "light", whole=True)

    def _draw(
        self,
        name: str,
        target: Path,
        width: int,
        height: int,
        scheme: Scheme,
        *,
        whole: bool = False,
    ) -> None:
        size: ViewportSize = {"width": width, "height": height}
        context = self._browser.new_context(
            base_url=self._url,
            storage_state=None if name in OUTSIDE else self._session,
            viewport=size,
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto((PAGES | OUTSIDE)[name].format(**self._ids))
        page.evaluate("document.fonts.ready.then(() => null)")
        page.screenshot(path=target, full_page=whole, animations="disabled")
        context.close()
        print(target)

    def _sign_in(self) -> StorageState:
        context = self._browser.new_context(base_url=self._url)
        page = context.new_page()
        page.goto(OUTSIDE["login"])
        page.fill("[name=username]", installation.USER)
        page.fill("[name=password]", installation.PASSWORD)
        page.click("#login-form [type=submit]")
        page.wait_for_url(f"**{PAGES['index']}")
        session = context.storage_state()
        context.close()
        return session


if __name__ == "__main__":
    main()
