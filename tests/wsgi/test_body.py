"""Bodies by PEP 3333 alone; gunicorn's are shown by the conformance suite."""

import io
import socket
from collections.abc import Iterator

import pytest

from pools.wire.errors import ClientGone, Refused
from pools.wsgi import body
from pools.wsgi.body import BLOCK_BYTES, Body


class Upstream:
    """A backend that answers when the test says so."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.left_s = 60.0

    def fileno(self) -> int:
        return self.ours.fileno()

    def look(self) -> bool:
        return bool(self.ours.recv(1))

    def remaining_s(self, most_s: float) -> float:
        return min(most_s, self.left_s)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    with upstream.ours, upstream.theirs:
        yield upstream


def measured(environ: dict[str, object], *, most_bytes: int = 0) -> Body:
    made = Body(environ, most_bytes=most_bytes)
    made.measure()
    return made


def sized(data: bytes, length: int | None = None, *, most_bytes: int = 0) -> Body:
    environ = {
        "wsgi.input": io.BytesIO(data),
        "CONTENT_LENGTH": str(len(data) if length is None else length),
    }
    return measured(environ, most_bytes=most_bytes)


def chunked(data: bytes, *, most_bytes: int = 0) -> Body:
    environ = {
        "wsgi.input": io.BytesIO(data),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    return measured(environ, most_bytes=most_bytes)


@pytest.mark.parametrize("make", [sized, chunked])
def test_body_passes_in_blocks(make, upstream):
    data = bytes(range(256)) * 1000
    made = make(data)
    assert made.replayable
    pieces = list(made.pieces(upstream))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= BLOCK_BYTES
    assert made.complete
    assert not made.replayable


def test_no_more_is_read_than_the_length_says(upstream):
    assert b"".join(sized(b"hello, next request", 5).pieces(upstream)) == b"hello"


def test_no_body_can_be_sent_again(upstream):
    made = sized(b"")
    assert list(made.pieces(upstream)) == []
    assert made.replayable
    assert made.complete


def test_client_that_leaves_within_its_body_is_gone(upstream):
    with pytest.raises(ClientGone):
        list(sized(b"hel", 5).pieces(upstream))


def test_answer_ends_the_upload(upstream):
    made = sized(bytes(BLOCK_BYTES * 3))
    pieces = made.pieces(upstream)
    next(pieces)
    upstream.theirs.send(b"x")
    assert list(pieces) == []
    assert not made.complete


def test_too_large_by_its_length_is_413_at_once():
    with pytest.raises(Refused) as caught:
        sized(b"123456", most_bytes=5)
    assert caught.value.status == 413


def test_too_large_is_413_while_it_comes(upstream):
    made = chunked(b"123456", most_bytes=5)
    with pytest.raises(Refused) as caught:
        list(made.pieces(upstream))
    assert caught.value.status == 413


def test_chunked_where_the_server_does_not_decode_it_is_411():
    with pytest.raises(Refused) as caught:
        measured({"wsgi.input": io.BytesIO(), "HTTP_TRANSFER_ENCODING": "chunked"})
    assert caught.value.status == 411


def test_what_the_server_raises_is_the_clients_fault(upstream):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ValueError("bad chunk")

    made = measured({"wsgi.input": Broken(), "CONTENT_LENGTH": "5"})
    with pytest.raises(Refused, match="bad chunk") as caught:
        list(made.pieces(upstream))
    assert caught.value.status == 400


def test_client_that_stalls_is_408(upstream, monkeypatch):
    monkeypatch.setattr(body, "CLIENT_IDLE_S", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(Refused) as caught:
        body._ListeningSocket(ours, upstream).recv(1)
    assert caught.value.status == 408


def test_client_that_stalls_until_the_exchange_ends_is_408(upstream):
    upstream.left_s = 0.01
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(Refused) as caught:
        body._ListeningSocket(ours, upstream).recv(1)
    assert caught.value.status == 408


def test_body_that_keeps_coming_is_408_once_the_exchange_ends(upstream):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        listening = body._ListeningSocket(ours, upstream)
        theirs.send(b"xy")
        assert listening.recv(1) == b"x"
        upstream.left_s = 0
        with pytest.raises(Refused) as caught:
            listening.recv(1)
    assert caught.value.status == 408


def test_blocks_that_keep_coming_are_408_once_the_exchange_ends(upstream):
    pieces = sized(bytes(BLOCK_BYTES * 3)).pieces(upstream)
    next(pieces)
    upstream.left_s = 0
    with pytest.raises(Refused) as caught:
        next(pieces)
    assert caught.value.status == 408
