"""A request as it is typed."""

from __future__ import annotations

import pytest

from pools.control.asked import Mistyped, read


def test_a_request_is_read_as_a_browser_would_send_it():
    asked = read(
        method=" get ",
        url=" https://me@App.example.com:8443/ü/x%2Fy?q=ü#top ",
        headers=["X-A:  1 ", "", "cookie: a=b"],
        client=" ::1 ",
    )
    assert (asked.method, asked.scheme, asked.host) == ("GET", "https", "app.example.com:8443")
    assert asked.name == "app.example.com"
    assert (asked.path, asked.query) == (b"/%C3%BC/x%2Fy", "?q=%C3%BC")
    assert asked.headers == [(b"x-a", b"1"), (b"cookie", b"a=b")]
    assert asked.peer == "::1"


def test_a_host_among_the_headers_goes_before_the_url_s():
    asked = read(method="GET", url="http://a/", headers=["Host: [::1]:80"])
    assert (asked.host, asked.name, asked.headers) == ("[::1]:80", "[::1]", [])


def test_a_path_alone_names_no_host():
    assert read(method="GET", url="/x").host == ""


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("method", "CONNECT"),
        ("method", ""),
        ("url", "a.example.com"),
        ("url", "http://[::1"),
        ("url", "http://a:x/"),
        ("url", ""),
        ("headers", ["X-A 1"]),
        ("headers", ["X-A: \x00"]),
        ("headers", ["Host: a b"]),
        ("client", "somebody"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(field, typed):
    with pytest.raises(Mistyped) as caught:
        read(**{"method": "GET", "url": "/", field: typed})
    assert caught.value.field == field
    assert str(caught.value)
