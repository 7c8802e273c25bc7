import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core.target import (
    parse_asked,
    parse_authority,
    parse_length,
    parse_target,
)


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
        (b"/", (None, b"/", b"")),
        (b"/a%2Fb?c?d", (None, b"/a%2Fb", b"?c?d")),
        (b"/a?", (None, b"/a", b"?")),
        (b"//a//b", (None, b"//a//b", b"")),
        (b"*", (None, b"*", b"")),
        (b"http://a.test", (b"a.test", b"/", b"")),
        (b"HTTPS://a.test:1/x?y", (b"a.test:1", b"/x", b"?y")),
        (b"http://a.test?y", (b"a.test", b"/", b"?y")),
    ],
)
def test_targets_in_their_forms(value, expected):
    found = parse_target(value)
    assert (found.authority, found.path, found.query) == expected


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


@pytest.mark.parametrize(
    ("target", "said", "version", "host", "name"),
    [
        (b"/x", b"A.test:81", "1.1", b"A.test:81", "a.test"),
        (b"http://B.test/x", b"a.test", "1.1", b"B.test", "b.test"),
        (b"http://b.test/x", None, "1.0", b"b.test", "b.test"),
        (b"/x", None, "1.0", b"", ""),
    ],
)
def test_what_is_asked_for_goes_by_target_and_host(target, said, version, host, name):
    found, *asked = parse_asked(target, said, method=b"GET", version=version)
    assert (found.path, asked) == (b"/x", [host, name])


@pytest.mark.parametrize(
    ("target", "said", "version"),
    [
        (b"/", None, "1.1"),
        (b"http://a.test/", None, "1.1"),
        (b"/", b"", "1.0"),
        (b"http://a.test/", b"", "1.1"),
        (b"http://a.test/", b"a,b", "1.0"),
        (b"http://u@a.test/", b"a.test", "1.1"),
        (b"*", b"a.test", "1.1"),
    ],
)
def test_what_asks_for_nothing_certain_is_refused(target, said, version):
    with pytest.raises(ValueError, match=r"Host|OPTIONS"):
        parse_asked(target, said, method=b"GET", version=version)


def test_options_may_ask_for_the_server_as_a_whole():
    found, *_ = parse_asked(b"*", b"a.test", method=b"OPTIONS", version="1.1")
    assert found.path == b"*"


@pytest.mark.parametrize(("value", "length"), [(b"0", 0), (b"007", 7), (b"9" * 18, 10**18 - 1)])
def test_lengths_are_digits(value, length):
    assert parse_length(value) == length


@pytest.mark.parametrize("value", [b"", b"+5", b"-1", b"5 ", b"5,5", b"\xb2", b"1" * 19])
def test_what_is_no_length_is_refused(value):
    with pytest.raises(ValueError, match="Content-Length"):
        parse_length(value)
