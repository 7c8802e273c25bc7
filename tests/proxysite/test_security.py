"""What browsers are told about the console's pages."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from pools.models import Pool

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("console_alone")]

INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>|\son\w+=\"|javascript:"
)


def test_pages_may_load_from_this_host_alone():
    headers = Client().get("/admin/login/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers[POLICY].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }


POLICY = "Content-Security-Policy"


def test_other_header_fields_keep_pages_to_themselves():
    headers = Client().get("/admin/login/").headers
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "pools/pool/",
        "pools/pool/add/",
        "pools/backend/",
        "pools/route/add/",
        "pools/channel/add/",
        "pools/auditentry/",
        "pools/team/add/",
        "auth/user/",
        "auth/user/add/",
        "auth/group/add/",
        "password_change/",
        "codes/",
    ],
)
def test_no_page_has_an_inline_script(django_user_model, path):
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("ann"))
    Pool.objects.create(name="web")
    response = client.get(f"/admin/{path}")
    assert response.status_code == 200
    assert POLICY in response.headers
    assert INLINE.findall(response.content.decode()) == []
