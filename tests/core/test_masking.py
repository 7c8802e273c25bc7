from __future__ import annotations

import pytest

from pools.core import masking
from pools.core.masking import MASK


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "apikey",
        "X-Auth",
        "X-Auth-Token",
        "X-CSRF-Token",
        "X-Client-Secret",
        "X-Hub-Signature",
        "Password",
    ],
)
def test_credentials_are_told_by_the_name_of_their_field(name):
    assert masking.shown(name, "abc") == MASK


@pytest.mark.parametrize(
    "name", ["X-Request-Id", "Host", "X-Forwarded-For", "Keep-Alive", "X-Monkey", "Author"]
)
def test_other_fields_are_shown(name):
    assert masking.shown(name, "abc") == "abc"


def test_an_empty_value_hides_nothing():
    assert masking.shown("Authorization", "") == ""


def test_all_secrets_in_a_plain_document_are_masked():
    route = {
        "name": "api",
        "request_headers": {"set": {"X-Api-Key": "k", "X-Stage": "beta"}, "remove": ["Cookie"]},
        "conditions": [
            {"header": "Authorization", "match": "equals", "value": "Bearer k"},
            {"header": "Cookie", "match": "present", "value": ""},
        ],
    }
    found = masking.plain(
        {"routes": [route], "pools": [{"probe": {"headers": {"Cookie": "c"}}}]}
    )
    (shown,) = found["routes"]
    assert shown["request_headers"] == {
        "set": {"X-Api-Key": MASK, "X-Stage": "beta"},
        "remove": ["Cookie"],
    }
    assert [each["value"] for each in shown["conditions"]] == [MASK, ""]
    assert found["pools"][0]["probe"]["headers"] == {"Cookie": MASK}
    assert route["request_headers"]["set"]["X-Api-Key"] == "k"
