"""Programs that users have, with what is served: a browser, and nginx on both sides."""

import pytest
import requests
import yaml

from tests import services
from tests.serve.chromium import browser
from tests.serve.nginx import nginx
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
    return serving(TRUSTED_PROXIES="127.0.0.0/8")


def test_a_backend_is_drained_by_hand(served, tmp_path):
    """Nothing on the way complains, and no other host is asked for anything."""
    with browser(tmp_path) as page:
        page.open(served.admin + "/admin/")
        page.type("#id_username", "admin")
        page.type("#id_password", served.password)
        page.click("#login-form [type=submit]")
        eventually(lambda: "Backends" in page.text(), saying="the console after the log-in")

        page.open(served.admin + "/admin/pools/pool/")
        assert "demo" in page.run(ROW + "return row ? row.innerText : ''", "demo")

        page.open(served.admin + "/admin/pools/backend/")
        address = served.address("demo-1")
        page.run(ROW + CHOOSE, address, "drain")
        eventually(
            lambda: "drain" in page.run(ROW + "return row ? row.innerText : ''", address),
            saying="the backend's state in the list",
        )
        eventually(lambda: "demo-1" not in served.meets(3))

        assert page.complaints() == []
        hosts = {url.split("/")[2] for url in page.requested() if url.startswith("http")}
        assert hosts == {served.admin.removeprefix("http://")}


def test_nginx_in_front_and_behind(served, tmp_path):
    front, behind = services.free_port(), services.free_port()
    document = yaml.safe_load(served.manage("config", "export").stdout)
    document["pools"].append(
        {
            "name": "nginx",
            "probe": {"kind": "off"},
            "backends": [{"host": "127.0.0.1", "port": behind}],
        }
    )
    document["routes"].append({"name": "nginx", "pool": "nginx", "path_prefix": "/nginx"})
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump(document))
    assert served.manage("config", "apply", str(file)).returncode == 0

    def asked():
        """What the backend was asked, by a client of the nginx in front."""
        try:
            answer = requests.get(
                f"http://127.0.0.1:{front}/nginx/a%2Fb?c=%20",
                headers={"Host": "shop.example.com", "X-Forwarded-For": "198.51.100.1"},
                timeout=30,
            )
        except requests.ConnectionError:
            return None
        return answer.text.split("\n")[:4] if answer.status_code == 200 else None

    with nginx(tmp_path, url=served.url, front=front, behind=behind):
        target, host, clients, scheme = eventually(asked, saying="nginx through the proxy")
    assert target == "/nginx/a%2Fb?c=%20"
    assert host == "shop.example.com"
    assert clients == "203.0.113.7, 127.0.0.1"
    assert scheme == "https"
