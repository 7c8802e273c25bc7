"""The console in the language of who looks at it; what is kept stays English."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import translation

from pools.models import Pool, Revision
from tests.admin import browser

pytestmark = pytest.mark.django_db

KOREAN = {"accept-language": "ko-KR,ko;q=0.9,en;q=0.5"}


@pytest.fixture(autouse=True)
def console_alone(settings):
    proxy = "pools.wsgi.middleware.ReverseProxyMiddleware"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != proxy]


@pytest.fixture(autouse=True)
def english_again():
    yield
    translation.deactivate()


@pytest.fixture
def client(django_user_model) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("ann"))
    return client


def text(client: Client, path: str, **more) -> str:
    return client.get(f"/admin/{path}", **more).content.decode()


def test_a_browser_that_asks_for_korean_gets_it(client):
    page = text(client, "pools/pool/add/", headers=KOREAN)
    assert '<html lang="ko"' in page
    assert "라우팅 규칙" in page  # the side bar
    assert "정책" in page  # a field
    assert "라운드 로빈" in page  # a choice
    assert "요청을 보낼 백엔드를 고르는 방법." in page  # its help


def test_any_other_browser_gets_english(client):
    page = text(client, "pools/pool/add/", headers={"accept-language": "fr"})
    assert '<html lang="en"' in page
    assert "Routing rules" in page


@pytest.mark.parametrize("path", ["pools/pool/", "login/"])
def test_the_language_is_chosen_by_a_form_of_the_page(client, path):
    if path == "login/":
        client = Client()
    assert 'action="/admin/language/"' in text(client, path)
    response = client.post("/admin/language/", {"language": "ko", "next": f"/admin/{path}"})
    assert response.url == f"/admin/{path}"
    assert '<html lang="ko"' in text(client, path)


def test_the_choice_of_a_language_leads_to_no_other_host(client):
    response = client.post(
        "/admin/language/", {"language": "ko", "next": "https://elsewhere.example/"}
    )
    assert response.url == "/"


def test_what_is_kept_of_a_change_is_english(client):
    client.post("/admin/language/", {"language": "ko"})
    filled = browser.form(client, "pool/add/")
    response = client.post(
        "/admin/pools/pool/add/",
        {**filled, "name": "web", "backends-0-host": "10.0.0.1", "backends-0-port": "80"},
    )
    assert response.status_code == 302
    assert Revision.objects.latest().why == "Added pool web; added 10.0.0.1:80"
    pool = Pool.objects.get()
    response = browser.send(client, f"pool/{pool.pk}/change/", policy="random")
    assert Revision.objects.latest().why == "Changed pool web: policy"
    (said,) = browser.messages(response)
    assert "리비전 2" in said
