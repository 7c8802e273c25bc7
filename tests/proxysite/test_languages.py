"""The console in the language of who looks at it; what is kept stays English."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import translation

from pools.admin import numbers
from pools.models import AuditEntry, Pool, Revision
from tests.admin import browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("console_alone")]

KOREAN = {"accept-language": "ko-KR,ko;q=0.9,en;q=0.5"}


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


def test_an_action_is_told_in_korean_and_kept_in_english(client):
    pool = Pool.objects.create(name="web")
    rows = [pool.backends.create(host=f"10.0.0.{n}", port=80) for n in range(1, 10)]
    client.post("/admin/language/", {"language": "ko"})
    response = browser.act(client, "backend/", "drain", *rows)
    (said,) = browser.messages(response)
    assert said.startswith("드레인함: web/10.0.0.1:80, ")
    assert "외 4개." in said
    why = Revision.objects.latest().why
    assert why.startswith("Drained web/10.0.0.1:80, ")
    assert why.endswith("and 4 more")


def test_pasted_backends_are_told_in_korean_and_kept_in_english(client):
    pool = Pool.objects.create(name="web")
    client.post("/admin/language/", {"language": "ko"})
    lines = "\n".join(f"10.0.0.{n}:80" for n in range(1, 10))
    page = f"/admin/pools/pool/{pool.pk}/paste/"
    response = client.post(page, {"lines": lines, "_save": "1"})
    (said,) = browser.messages(response)
    assert said.startswith("풀 web 변경. 추가한 백엔드: 10.0.0.1:80, ")
    why = Revision.objects.latest().why
    assert why.startswith("Changed pool web: added 10.0.0.1:80, ")
    assert why.endswith("and 4 more")


def test_the_audit_log_is_read_in_korean_and_kept_in_english(client):
    client.post("/admin/language/", {"language": "ko"})
    filled = browser.form(client, "pool/add/")
    client.post("/admin/pools/pool/add/", {**filled, "name": "web"})
    entry = AuditEntry.objects.filter(kind="pool").latest("pk")
    assert entry.action == "added"
    page = text(client, "pools/auditentry/")
    assert "추가됨" in page
    assert "풀 web" in page


def test_texts_of_forms_are_korean(client):
    pages = text(client, "pools/pool/add/", headers=KOREAN)
    assert "타임아웃 및 제한" in pages
    assert "Passive health" not in pages


def test_how_long_something_lasts_is_told_in_the_language_of_who_looks():
    with translation.override("ko"):
        assert numbers.lasting(timedelta(seconds=190)) == "3분 10초"
    assert numbers.lasting(timedelta(seconds=190)) == "3 min 10 s"
