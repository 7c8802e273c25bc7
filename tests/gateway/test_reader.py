"""Requests read from what a client sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.conf import Conf
from pools.gateway.reader import SLICE_BYTES, RequestReader

CONF = Conf(max_header_bytes=1000, max_header_fields=5, max_target_bytes=100)
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;e=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


def read(*pieces: bytes) -> RequestReader:
    reader = RequestReader(CONF)
    for piece in pieces:
        reader.feed(piece)
    return reader


def seen(reader: RequestReader) -> list[tuple[bytes, bytes, bytes, bool]]:
    return [
        (request.method, request.target, b"".join(request.body), request.complete)
        for request in reader.waiting
    ]


@given(st.lists(st.sampled_from([GET, POST, CHUNKED]), max_size=5), st.data())
def test_pieces_make_no_difference(requests, data):
    whole = b"".join(requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert seen(read(*pieces)) == seen(read(whole))
    assert len(seen(read(whole))) == len(requests)


def test_names_are_lower_case_and_values_without_space_around():
    (request,) = read(b"GET / HTTP/1.1\r\nX-Name: \tvalue \t\r\n\r\n").waiting
    assert request.headers == [(b"x-name", b"value")]


def test_trailers_are_dropped():
    (request,) = read(CHUNKED).waiting
    assert b"x-trailer" not in request.fields


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 200), 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 6 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 1000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 3000, 431),
        (b"GET /" + b"a" * 3000, 414),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / RTSP/1.0\r\nHost: x\r\n\r\n", 400),
        (b"SOURCE /n  ICE/1.0\r\nHost: x\r\n\r\n", 400),
    ],
)
@pytest.mark.parametrize("step", [7, 10_000])
def test_what_is_too_large_or_malformed_is_refused_by_name(head, status, step):
    pieces = [head[start : start + step] for start in range(0, len(head), step)]
    reader = read(*pieces)
    assert reader.refusal is not None
    assert reader.refusal.status == status
    assert reader.waiting == []


def test_what_came_before_a_refusal_is_served():
    reader = read(GET + POST + b"NONSENSE\r\n\r\n" + GET)
    assert [target for _, target, _, _ in seen(reader)] == [b"/a", b"/b"]
    assert reader.refusal is not None


def test_many_small_requests_at_once_are_not_too_large():
    reader = read(GET * 100 + GET[:10])
    assert reader.refusal is None
    assert len(reader.waiting) == 100


@pytest.mark.parametrize("endless", [b"1;" + b"e" * 2000, b"0\r\nX-Trailer: " + b"t" * 2000])
def test_framing_of_a_body_is_bounded(endless):
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = read(head, *(endless[at : at + 100] for at in range(0, len(endless), 100)))
    assert reader.refusal is not None
    assert reader.refusal.status == 400
    assert reader.give_up_arriving() is not None
    assert reader.waiting == []


def test_small_chunks_are_not_too_large():
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = read(head, *[b"1\r\na\r\n"] * 1000, b"0\r\n\r\n")
    assert reader.refusal is None
    assert seen(reader)[0][2:] == (b"a" * 1000, True)


def test_nothing_is_parsed_behind_a_request_for_another_protocol():
    ask = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader = read(ask + GET, GET)
    assert len(reader.waiting) == 1
    assert reader.rest == GET + GET
    reader.read_on()
    assert reader.rest is None
    assert [target for _, target, _, _ in seen(reader)] == [b"/", b"/a", b"/a"]


def test_pipelined_requests_are_parsed_as_they_are_served():
    """A request takes many times the memory of its bytes."""
    reader = read(GET * 10_000)
    assert len(reader.waiting) <= SLICE_BYTES / len(GET) + 1
    served = 0
    while reader.waiting or reader.read_on():
        served += bool(reader.waiting and reader.waiting.pop(0))
    assert served == 10_000


def test_malformed_request_behind_a_switch_that_was_declined_is_given_up():
    ask = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    bad = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ"
    reader = read(ask + bad)
    reader.waiting.clear()
    assert reader.read_on()
    assert reader.refusal is not None
    reader.give_up_arriving()
    assert reader.waiting == []


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 5", b"hello"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("token", [b"websocket", b"h2c", b"foo"])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_body_of_a_request_for_another_protocol_is_its_body(framing, body, token, step):
    """llhttp takes it for what comes behind: a request of the attacker's choice."""
    head = b"POST /b HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: %b\r\n%b\r\n\r\n"
    sent = head % (token, framing) + body + GET
    reader = read(*(sent[at : at + step] for at in range(0, len(sent), step)))
    assert seen(reader) == [(b"POST", b"/b", b"hello", True), (b"GET", b"/a", b"", True)]
    assert not reader.waiting[0].upgrade
    assert reader.rest is None


def test_names_of_other_protocols_may_be_spoken_of():
    head = b"PUT /a HTTP/1.1\r\nHost: x\r\nX-A: GET / RTSP/1.0\r\nContent-Length: 15\r\n\r\n"
    assert seen(read(head + b"GET /b RTSP/1.0"))[0][2:] == (b"GET /b RTSP/1.0", True)
