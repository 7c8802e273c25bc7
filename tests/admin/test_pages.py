"""Every page of the console."""

from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.utils import timezone

from pools.models import Backend, Channel, HealthEvent, Pool, Revision, Route
from pools.models.parts import COLUMNS
from tests.admin.test_permissions import notified

ELSEWHERE = re.compile(
    r"""(?:(?:src|href|action)\s*=|@import|url\()\s*["']?((?:https?:)?//[^"')\s]+)"""
)
STATIC = re.compile(r'(?:src|href)="/static/([^"?]+)"')


@pytest.fixture
def pages(web) -> list[str]:
    event = HealthEvent.objects.create(
        backend=web.backends.first(), at=timezone.now(), old="unknown", new="up"
    )
    spare = Pool.objects.get(name="spare")
    rows = [web, web.backends.first(), Route.objects.get(), event, Revision.objects.get()]
    rows += notified()
    found = ["", f"pools/pool/{spare.pk}/delete/", "auth/user/", "auth/group/add/"]
    found += ["pools/route/test/", "pools/route/test/?url=http://app.example.com/api"]
    for row in rows:
        at = f"pools/{row._meta.model_name}/"
        found += [at, f"{at}{row.pk}/change/", f"{at}{row.pk}/history/"]
        if isinstance(row, Pool | Route | Channel):
            found += [f"{at}add/", f"{at}{row.pk}/delete/"]
    return [f"/admin/{page}" for page in found]


@pytest.mark.parametrize("model", [Pool, Backend, Route])
def test_every_value_of_the_document_is_on_a_form(client, web, model):
    response = client.get(f"/admin/pools/{model._meta.model_name}/add/")
    fields = set(response.context["adminform"].form.fields)
    assert fields - {"pool"} == set(COLUMNS[model.part_kind]) - {"pool"}


def test_a_pool_has_all_of_its_backends_on_its_form(client, web):
    response = client.get(f"/admin/pools/pool/{web.pk}/change/")
    (rows,) = response.context["inline_admin_formsets"]
    for row in rows.formset.initial_forms:
        assert set(COLUMNS[Backend.part_kind]) <= set(row.fields)


def test_every_page_comes_from_this_host_alone(client, pages):
    files: set[str] = set()
    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, page
        text = response.content.decode()
        assert ELSEWHERE.findall(text) == [], page
        files.update(STATIC.findall(text))
    assert "pools/admin.css" in files
    for name in files:
        path = finders.find(name)
        assert path, name
        if name.endswith(".css"):
            with open(path, encoding="utf-8") as file:
                assert ELSEWHERE.findall(file.read()) == [], name


def test_the_login_page_comes_from_this_host_alone(client):
    client.logout()
    text = client.get("/admin/login/").content.decode()
    assert "password" in text
    assert ELSEWHERE.findall(text) == []
