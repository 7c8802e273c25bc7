import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core.target import Target, parse_authority, parse_target


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        (b"Example.COM", "example.com", None),
        (b"example.com.", "example.com", None),
        (b"example.com:8000", "example.com", 8000),
        (b"example.com:", "example.com", None),
        (b"under_score.test", "under_score.test", None),
        (b"10.0.0.1:80", "10.0.0.1", 80),
        (b"[2001:DB8:0::1]:80", "[2001:db8::1]", 80),
        (b"a" * 255 + b".:80", "a" * 255, 80),
    ],
)
def test_host_is_as_routes_write_it(value, host, port):
    found = parse_authority(value)
    assert (found.raw, found.host, found.port) == (value, host, port)


@pytest.mark.parametrize(
    "value",
    [b"", b".", b"a b", b"a,b", b"a/b", b"u@a", b"a:x", b"a:65536", b"a:123456", b"[::g]",
     b"[::1", b"::1", b"a%2eb", b"\xe9.test", b"a\tb", b"a." * 128 + b"b"],
)  # fmt: skip
def test_what_is_no_host_is_refused(value):
    with pytest.raises(ValueError, match=r"."):
        parse_authority(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"/", Target(None, b"/", b"")),
        (b"/a%2Fb?c?d", Target(None, b"/a%2Fb", b"?c?d")),
        (b"/a?", Target(None, b"/a", b"?")),
        (b"//a//b", Target(None, b"//a//b", b"")),
        (b"*", Target(None, b"*", b"")),
        (b"http://a.test", Target(b"a.test", b"/", b"")),
        (b"HTTPS://a.test:1/x?y", Target(b"a.test:1", b"/x", b"?y")),
        (b"http://a.test?y", Target(b"a.test", b"/", b"?y")),
    ],
)
def test_targets_in_their_forms(value, expected):
    assert parse_target(value) == expected


@pytest.mark.parametrize(
    "value",
    [b"", b"a", b"a.test:80", b"http://", b"ftp://a/", b"/a b", b"/#f", b"/\xe9", b"**"],
)
def test_what_is_no_target_is_refused(value):
    with pytest.raises(ValueError, match="target"):
        parse_target(value)


@given(
    st.from_regex(rb"/[!\"$->@-~]*", fullmatch=True),
    st.from_regex(rb"(\?[!\"$-~]*)?", fullmatch=True),
)
def test_nothing_of_a_target_is_lost(path, query):
    found = parse_target(path + query)
    assert (found.path, found.query) == (path, query)
