"""Whatever a backend answers, and in whatever pieces: one reading of it, by any parser."""

from hypothesis import example, given
from hypothesis import strategies as st

from pools.wire.errors import UpstreamError
from pools.wire.parser import ResponseParser

words = st.sampled_from
interims = words(
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.0 103 \r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 100 \0\r\n\r\n",
    ]
)
status_lines = words(
    [
        *[b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 Empty"],
        *[b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 404", b"HTTP/1.1 599 \xfcber"],
        *[b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 600 No", b"HTTP/2.0 200 OK"],
        *[b"ICE/1.0 200 OK", b"HTTP/1.1 200 O\x01K", b"HTTP 200"],
    ]
)  # fmt: skip
fields = st.lists(
    words(
        [
            *[b"Server: x", b"X-Empty:", b"X-Spaced: \t a \t ", b"Set-Cookie: a=1"],
            *[b"Connection: close", b"connection: Keep-Alive", b"Connection: x, upgrade"],
            *[b"Proxy-Connection: close", b"Upgrade: websocket", b"Upgrade: h2c"],
            *[b"X Bad: 1", b" folded"],
        ]
    ),
    max_size=3,
)
framings = words(
    [
        *[(b"Content-Length: 5", b"hello"), (b"Content-Length: 0", b"")] * 2,
        *[(b"content-length:005 ", b"hello"), (b"Content-Length: 300", b"\r\n" * 150)],
        (b"Content-Length: 9", b"short"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n"),
        (b"transfer-encoding: Chunked", b"0\r\nX-Late: 1\r\nX-Later:\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhelloX"),
        (b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
        (b"Content-Length: 5\r\nContent-Length: 5", b"hello"),
        (b"X-Framing: none", b""),
        (b"X-Framing: none", b"up to the end"),
    ]
)
tails = words([b"", b"", b"", b"x", b"HTTP/1.1 200 OK\r\n\r\n", b"\0"])


@st.composite
def answers(draw):
    framing, body = draw(framings)
    lines = [draw(status_lines), *draw(fields), framing]
    head = b"\r\n".join([*draw(st.permutations(lines[1:])), b"\r\n"])
    return draw(interims) + lines[0] + b"\r\n" + head + body + draw(tails)


asked = st.tuples(words([b"GET", b"GET", b"HEAD"]), words([None, None, b"websocket"]))


def cut(data, edges):
    places = [0, *sorted(edge for edge in edges if edge < len(data)), len(data)]
    return [data[a:b] for a, b in zip(places, places[1:], strict=False)]


def read(parser, pieces):
    """All that can be told of an answer, and whether its connection can carry another."""
    body = b""
    try:
        for piece in pieces:
            parser.feed(piece)
            body += parser.take()
    except UpstreamError:
        return "malformed"
    heads = [
        None if head is None else (head.status, head.reason, head.headers)
        for head in (parser.head, *parser.interim)
    ]
    told = (heads, body, parser.complete, parser.upgraded)
    if parser.complete:
        return *told, parser.reusable
    try:
        parser.end()
    except UpstreamError:
        return *told, "cut short"
    return *told, "ended"


def begun(method, upgrade):
    parser = ResponseParser(b"")
    parser.begin(method, upgrade)
    return parser


@given(answers(), asked, st.sets(st.integers(1, 400), max_size=12))
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellox", (b"GET", None), {42, 43})
def test_any_answer_reads_the_same_in_any_pieces(answer, asked, edges):
    whole = read(begun(*asked), [answer])
    assert read(begun(*asked), cut(answer, edges)) == whole


@given(st.lists(st.tuples(answers(), asked), min_size=2, max_size=4), st.booleans())
def test_a_parser_that_is_used_again_reads_like_a_new_one(exchanges, bytewise):
    parser = ResponseParser(b"")
    for answer, (method, upgrade) in exchanges:
        pieces = cut(answer, range(1, len(answer))) if bytewise else [answer]
        parser.begin(method, upgrade)
        assert read(parser, pieces) == read(begun(method, upgrade), pieces)


@given(st.integers(0, 5000), st.lists(st.integers(1, 2000), max_size=8), st.integers(0, 3))
def test_a_body_ends_where_its_length_says(length, sizes, behind):
    body = bytes(range(256)) * 20
    parser = ResponseParser(b"GET")
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
    got = b""
    for piece in cut(body[:length] + b"x" * behind, sizes):
        parser.feed(piece)
        got += parser.take()
    assert got == body[:length]
    assert parser.complete
    assert parser.reusable is not bool(behind)
