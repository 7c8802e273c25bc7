"""The admin in a real browser: log in, look, and drain a backend."""

import pytest

from tests.serve.chromium import browser
from tests.services import eventually

ROW = """
    const rows = [...document.querySelectorAll('#result_list tr')];
    const row = rows.find(row => row.innerText.includes(arguments[0]));
"""
CHOOSE = """
    row.querySelector('input.action-select').click();
    const choice = document.querySelector('select[name=action]');
    choice.value = arguments[1];
    choice.dispatchEvent(new Event('change', {bubbles: true}));
    document.querySelector('form#changelist-form').requestSubmit();
"""


@pytest.fixture(scope="module")
def served(serving):
    return serving()


def test_a_backend_is_drained_by_hand(served, tmp_path):
    """Nothing on the way complains, and no other host is asked for anything."""
    with browser(tmp_path) as page:
        page.open(served.url + "/admin/")
        page.type("#id_username", "admin")
        page.type("#id_password", served.password)
        page.click("#login-form [type=submit]")
        eventually(lambda: "Backends" in page.text(), saying="the console after the log-in")

        page.open(served.url + "/admin/pools/pool/")
        assert "demo" in page.run(ROW + "return row ? row.innerText : ''", "demo")

        page.open(served.url + "/admin/pools/backend/")
        address = served.address("demo-1")
        page.run(ROW + CHOOSE, address, "drain")
        eventually(
            lambda: "drain" in page.run(ROW + "return row ? row.innerText : ''", address),
            saying="the backend's state in the list",
        )
        eventually(lambda: "demo-1" not in served.meets(3))

        assert page.complaints() == []
        hosts = {url.split("/")[2] for url in page.requested() if url.startswith("http")}
        assert hosts == {served.url.removeprefix("http://")}
