"""A console of its own process, and a browser that a person sits at.

- `page` is signed in as an administrator, with relative addresses of the console:
  `page.goto("/admin/pools/pool/")`. Marker `browser_context_args(...)` changes the browser:
  without JavaScript, dark, narrow.
- `installation` is the console with made-up rows, one for each worker; `empty` makes one
  without. Tests that change something add rows of their own.
- A test fails on any error that its pages report, on requests that fail, and on requests
  to another host. `troubles.expected(...)` takes back what a test provokes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    StorageState,
    ViewportSize,
    expect,
    sync_playwright,
)

from scripts import installation as made_up
from tests import services
from tests.browser.rows import Rows

FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE_MS = 15_000
DESKTOP: ViewportSize = {"width": 1280, "height": 900}

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A console that answers at `url`; `ids` are those of its rows, by name."""

    url: str
    ids: dict[str, int]
    folder: Path

    def path(self, name: str) -> str:
        """The address of a page of scripts.installation."""
        pages = made_up.PAGES | made_up.OUTSIDE
        return pages[name].format(**self.ids)


@dataclass
class Troubles:
    """What went wrong in pages, one line each."""

    host: str
    found: list[str] = field(default_factory=list)

    @contextmanager
    def watching(self, context: BrowserContext) -> Iterator[None]:
        """Hear of all that goes wrong in pages of the context."""
        heard = {
            "console": self._said,
            "request": self._asked,
            "requestfailed": self._failed,
            "response": self._answered,
            "weberror": self._threw,
        }
        for event, hear in heard.items():
            context.on(event, hear)
        yield
        for page in context.pages:
            page.title()  # what was told meanwhile comes with it
        for event, hear in heard.items():
            context.remove_listener(event, hear)

    def expected(self, text: str) -> None:
        """Forget the lines with this text; there must be one."""
        rest = [line for line in self.found if text not in line]
        assert len(rest) < len(self.found), f"{text!r} is not in {self.found}"
        self.found[:] = rest

    def _threw(self, error) -> None:
        self.found.append(f"page error: {error.error}")

    def _said(self, message) -> None:
        # What a status of 400 and above makes the console say is told by the answer.
        if message.type in ("error", "warning") and "Failed to load" not in message.text:
            self.found.append(f"console {message.type}: {message.text}")

    def _asked(self, request) -> None:
        if not request.url.startswith((self.host + "/", "data:", "blob:", "about:")):
            self.found.append(f"request to another host: {request.url}")

    def _failed(self, request) -> None:
        # A refresh or a font that is under way ends when its page is left.
        left = request.failure == "net::ERR_ABORTED"
        if not (left and request.resource_type in ("fetch", "xhr", "font")):
            self.found.append(f"request failed: {request.url} {request.failure}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.found.append(f"status {response.status}: {response.url}")


# pytest-playwright's, for as long as tests of this folder run and not to the session's end:
# while it is there, its event loop runs in this thread, where Django refuses the database.


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(pytestconfig, playwright: Playwright) -> Iterator[Browser]:
    """The distribution's Chromium; Playwright's own is never fetched."""
    headless = not pytestconfig.getoption("--headed")
    chromium = services.program("chromium")
    with playwright.chromium.launch(
        executable_path=chromium, args=FLAGS, headless=headless
    ) as started:
        yield started


@pytest.fixture(scope="session")
def installing(tmp_path_factory) -> Iterator[Callable[..., Installation]]:
    """installing(empty=False, **environment) -> Installation, ended with the tests."""
    services.program("chromium")  # before anything is made for nothing
    with ExitStack() as stack:

        def start(*, empty: bool = False, **variables: str) -> Installation:
            folder = tmp_path_factory.mktemp("console")
            ids = made_up.made(folder, empty=empty)
            url = stack.enter_context(made_up.served(folder, **variables))
            return Installation(url=url, ids=ids, folder=folder)

        yield start


@pytest.fixture(scope="session")
def installation(installing) -> Installation:
    return installing()


@pytest.fixture(scope="session")
def rows(installation) -> Rows:
    return Rows(installation.folder)


@pytest.fixture(scope="module")
def empty(installing) -> Installation:
    """A console of a module's own, with no pool and no route."""
    return installing(empty=True)


@pytest.fixture(scope="package")
def session(browser: Browser, installation) -> StorageState:
    """The cookies of an administrator, who signed in once for all tests."""
    with browser.new_context(base_url=installation.url) as context:
        sign_in(context.new_page())
        return context.storage_state()


@pytest.fixture(scope="package")
def browser_context_args(installation, session) -> dict[str, object]:
    return {
        "base_url": installation.url,
        "storage_state": session,
        "locale": "en-GB",
        "viewport": DESKTOP,
    }


@pytest.fixture(scope="package")
def tab(browser: Browser, browser_context_args) -> Iterator[Page]:
    """One for all who need no browser of their own: it has the console's files already, and
    its process need not begin again."""
    with browser.new_context(**browser_context_args) as context:
        yield context.new_page()


@pytest.fixture
def context(request, browser, browser_context_args) -> Iterator[BrowserContext]:
    if marker := request.node.get_closest_marker("browser_context_args"):
        with browser.new_context(**{**browser_context_args, **marker.kwargs}) as own:
            yield own
        return
    tab: Page = request.getfixturevalue("tab")
    yield tab.context
    if tab.url != "about:blank":
        tab.evaluate("localStorage.clear()")
    tab.set_viewport_size(DESKTOP)
    tab.context.clear_cookies()
    tab.context.add_cookies(request.getfixturevalue("session")["cookies"])


@pytest.fixture
def page(context) -> Page:
    return context.pages[0] if context.pages else context.new_page()


@pytest.fixture(autouse=True)
def troubles(context: BrowserContext, installation) -> Iterator[Troubles]:
    found = Troubles(installation.url)
    context.set_default_timeout(PATIENCE_MS)
    with found.watching(context):
        yield found
    assert found.found == []


def sign_in(page: Page, user: str = made_up.USER, password: str = made_up.PASSWORD) -> None:
    page.goto("/admin/login/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


def go_on(page: Page) -> None:
    """Have what is live refreshed now, as who pauses it and goes on."""
    state = page.locator(".pools-live")
    state.get_by_role("button", name="Pause").click()
    state.get_by_role("button", name="Go on").click()


def said(page: Page, text: str) -> None:
    """The page tells it: what a save did, or why it did not."""
    expect(page.locator("#main").get_by_text(text).first).to_be_visible()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
