import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core.retry import FailureKind
from pools.wire.errors import UpstreamError
from pools.wire.parser import MAX_HEAD_BYTES, ResponseParser

CHUNKED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 Fine\r\nX-A:  1 \r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Late: 1\r\n\r\n"
)


def parsed(*pieces, method=b"GET"):
    parser = ResponseParser(method)
    for piece in pieces:
        parser.feed(piece)
    return parser


@given(st.sets(st.integers(1, len(CHUNKED) - 1)))
def test_the_pieces_it_comes_in_make_no_difference(cuts):
    edges = [0, *sorted(cuts), len(CHUNKED)]
    parser = parsed(*(CHUNKED[a:b] for a, b in zip(edges, edges[1:], strict=False)))
    assert [hint.status for hint in parser.interim] == [103]
    assert parser.head is not None
    assert (parser.head.status, parser.head.reason) == (200, b"Fine")
    assert parser.head.headers == [(b"X-A", b"1"), (b"Transfer-Encoding", b"chunked")]
    assert parser.take() == b"hello world"
    assert parser.complete
    assert parser.reusable


def test_body_is_handed_out_as_it_comes():
    parser = parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    assert parser.take() == b"ab"
    assert not parser.complete
    parser.feed(b"cd")
    assert parser.take() == b"cd"
    assert parser.take() == b""
    assert parser.complete


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive", True),
        (b"HTTP/1.1 204 No Content", True),
    ],
)
def test_connection_lives_on_as_the_backend_says(head, reusable):
    parser = parsed(head + b"\r\n\r\n")
    assert parser.complete
    assert parser.reusable is reusable


@pytest.mark.parametrize(
    "behind", [b"x", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n\r\nHTTP/1.1", b"\0"]
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_bytes_behind_an_answer_end_the_connection(method, behind):
    length = b"5" if method == b"HEAD" else b"0"
    parser = parsed(
        b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + behind, method=method
    )
    assert parser.complete
    assert not parser.reusable or behind.startswith(b"\r\n")
    assert parser.take() == b""


def test_body_without_length_ends_with_the_connection():
    parser = parsed(b"HTTP/1.1 200 OK\r\n\r\nab")
    assert not parser.complete
    parser.end()
    assert parser.complete
    assert not parser.reusable


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"]
)
def test_end_within_an_answer_is_an_error(start):
    parser = parsed(*([start] if start else []))
    with pytest.raises(UpstreamError) as caught:
        parser.end()
    assert caught.value.kind is FailureKind.ERROR


def test_end_behind_an_answer_is_none():
    parser = parsed(b"HTTP/1.1 204 No Content\r\n\r\n")
    parser.end()
    assert parser.complete


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nX-A: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Late: ",
    ],
    ids=["head", "trailers"],
)
def test_endless_fields_are_refused(start):
    parser = parsed(start)
    with pytest.raises(UpstreamError, match="too large"):
        for _ in range(MAX_HEAD_BYTES // 1024 + 1):
            parser.feed(b"a" * 1024)


def test_a_body_is_no_endless_head():
    parser = parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(100):
        parser.feed(bytes(10_000))
    assert parser.complete


# --- a switch of protocols

SWITCH = b"HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n"


def switched(*pieces, upgrade=b"websocket"):
    parser = ResponseParser(b"GET")
    parser.begin(b"GET", upgrade)
    for piece in pieces:
        parser.feed(piece)
    return parser


@given(st.sets(st.integers(1, len(SWITCH) + 5)))
def test_what_follows_the_switch_asked_for_is_the_other_protocols(cuts):
    data = SWITCH + b"\x81\x02hi\0"
    edges = [0, *sorted(cuts), len(data)]
    parser = switched(*(data[a:b] for a, b in zip(edges, edges[1:], strict=False)))
    assert parser.head is not None
    assert (parser.head.status, len(parser.head.headers)) == (101, 2)
    assert parser.upgraded
    assert not parser.complete
    assert not parser.reusable
    assert parser.take() == b"\x81\x02hi\0"
    parser.end()


def test_an_interim_answer_may_precede_the_switch():
    parser = switched(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCH)
    assert [hint.status for hint in parser.interim] == [103]
    assert parser.upgraded


def test_a_refused_switch_is_an_answer_like_any_other():
    parser = switched(b"HTTP/1.1 400 No\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab")
    assert not parser.upgraded
    assert parser.take() == b"ab"
    assert parser.complete
    assert parser.reusable


@pytest.mark.parametrize(
    ("upgrade", "fields"),
    [
        (None, b"Upgrade: websocket\r\nConnection: upgrade\r\n"),
        (b"websocket", b"Upgrade: websocket\r\n"),
        (b"websocket", b"Connection: upgrade\r\n"),
        (b"websocket", b"Upgrade: h2c\r\nConnection: upgrade\r\n"),
        (b"websocket", b"Upgrade: h2c, websocket\r\nConnection: upgrade\r\n"),
        (b"websocket", b"Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"),
        (b"websocket", b"Upgrade: websocket\r\nConnection: close\r\n"),
    ],
)
def test_any_other_switch_is_malformed(upgrade, fields):
    with pytest.raises(UpstreamError, match="switches protocols unasked"):
        switched(b"HTTP/1.1 101 S\r\n" + fields + b"\r\n", upgrade=upgrade)


def test_one_parser_serves_one_answer_after_another():
    parser = parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
    assert parser.take() == b"ab"
    parser.begin(b"HEAD")
    assert parser.head is None
    assert not parser.complete
    parser.feed(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n")
    assert parser.head is not None
    assert (parser.head.status, parser.take(), parser.complete) == (404, b"", True)


def test_a_malformed_interim_answer_spoils_what_follows():
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(UpstreamError, match="malformed status line"):
        parsed(b"HTTP/1.1 100 \0\r\n\r\n" + good + b"x")


@pytest.mark.parametrize("step", [MAX_HEAD_BYTES // 2, 4 * MAX_HEAD_BYTES])
@pytest.mark.parametrize("end", [b"Content-Length: 0\r\n\r\n", b"\r\n"])
def test_head_that_is_too_large_is_refused_in_whatever_pieces_it_comes(step, end):
    parser = ResponseParser(b"GET")
    answer = b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * (MAX_HEAD_BYTES // 8) + end
    with pytest.raises(UpstreamError, match="too large"):
        for start in range(0, len(answer), step):
            parser.feed(answer[start : start + step])
