"""Nasty bytes of clients: the backend sees what they frame, strictly read, and nothing else.

Each case is sent alone and behind a good request, by hand and by hypothesis.
"""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.faults.nasty import LAST, corpus, holds
from tests.faults.reference import Request

CASES = corpus()
GOOD = b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n"

bounded = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", CASES)
def test_nasty_request_is_read_strictly(gateway, oracle, name):
    """Alone; then behind a good request, which is served."""
    holds(gateway.address, oracle, CASES[name] + LAST)
    seen = holds(gateway.address, oracle, GOOD + CASES[name] + LAST)
    assert seen[:1] == [Request(b"GET", b"/good", b"")]


# --- made by hypothesis ------------------------------------------------------------------

blank = st.sampled_from([b"", b" ", b"\t", b"\x0b", b"\x0c", b"\x00", b"\r", b"\n", b"\xa0"])
crlf = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n", b"\n\r", b""])
some = st.binary(max_size=12)


def joined(*parts):
    return st.tuples(*(st.just(p) if isinstance(p, bytes) else p for p in parts)).map(b"".join)


request_line = st.one_of(
    st.sampled_from([b"POST /n HTTP/1.1", b"GET /n HTTP/1.1", b"PUT /n?a=b HTTP/1.1"]),
    joined(
        st.sampled_from([b"POST", b"GET", b"HEAD", b"OPTIONS", b"post", b"CONNECT"]),
        st.sampled_from([b" ", b"  ", b"\t"]),
        st.sampled_from([b"/n", b"*", b"http://y/n", b"//y", b"/a b", b"n", b"/%00#"]),
        st.sampled_from([b" ", b"\x0b"]),
        st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1"]),
    ),
)
field_line = st.one_of(
    joined(
        st.sampled_from([b"Content-Length", b"content-length", b"Content_Length"]),
        st.sampled_from([b":", b": ", b" :", b":\t"]),
        st.sampled_from([b"0", b"5", b"5", b"05", b"+5", b"5,5", b"0x5", b"33", b"1e1", b""]),
        blank,
    ),
    joined(
        st.sampled_from([b"Transfer-Encoding", b"transfer-encoding", b"Transfer_Encoding"]),
        st.sampled_from([b":", b": ", b" :", b":\x0b"]),
        st.sampled_from([b"chunked", b"CHUNKED", b"identity", b"gzip, chunked", b"chunke"]),
        blank,
    ),
    joined(b"Connection: ", st.sampled_from([b"close", b"keep-alive", b"host", b"x, upgrade"])),
    st.sampled_from(
        [b"Upgrade: websocket", b"Upgrade: h2c", b"Expect: 100-continue", b" fold"]
    ),
    joined(b"X: ", some),
)
body = st.one_of(
    st.sampled_from([b"", b"hello", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"]),
    joined(
        st.sampled_from([b"5", b"05", b"5 ", b"5;", b"5;a=b", b"+5", b"0x5", b"5\x00"]),
        crlf,
        b"hello",
        crlf,
        b"0",
        crlf,
        st.sampled_from([b"", b"X: y\r\n", b"Content-Length: 5\r\n"]),
        crlf,
    ),
)


@st.composite
def requests(draw):
    """One that is nearly right, most often."""
    data = draw(request_line) + draw(crlf) + b"Host: x" + draw(crlf)
    for line in draw(st.lists(field_line, max_size=3)):
        data += line + draw(crlf)
    return data + draw(crlf) + draw(body)


@st.composite
def pieces(draw, data):
    """The bytes cut in up to three segments."""
    at = sorted(draw(st.lists(st.integers(0, len(data)), max_size=2)))
    bounds = [0, *at, len(data)]
    return [data[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


@bounded
@given(data=st.data(), made=st.lists(requests(), min_size=1, max_size=3))
def test_nearly_right_requests_are_read_strictly(gateway, oracle, data, made):
    parts = data.draw(pieces(b"".join(made) + LAST))
    holds(gateway.address, oracle, *parts)


@bounded
@given(garbage=st.binary(min_size=1, max_size=400))
@example(garbage=b"\r\n" * 200)
def test_garbage_reaches_no_backend(gateway, oracle, garbage):
    holds(gateway.address, oracle, garbage + b"\r\n\r\n" + LAST)
    seen = holds(gateway.address, oracle, GOOD + garbage + b"\r\n\r\n" + LAST)
    assert seen[:1] == [Request(b"GET", b"/good", b"")]


@bounded
@given(
    whole=st.sampled_from(sorted(CASES.values())),
    at=st.floats(0, 1),
    drop=st.integers(0, 3),
    put=st.binary(max_size=3),
)
def test_mended_and_broken_cases_are_read_strictly(gateway, oracle, whole, at, drop, put):
    """The corpus with a few bytes changed anywhere."""
    start = int(at * len(whole))
    holds(gateway.address, oracle, whole[:start] + put + whole[start + drop :] + LAST)
