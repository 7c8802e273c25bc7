"""A request's body on its way."""

from __future__ import annotations

import pytest

from pools.gateway.requests import Request
from pools.gateway.upload import KEPT_BYTES, Upload


def request(length: int | None) -> Request:
    made = Request(b"PUT", b"/", "1.1", [], keep_alive=True)
    made.length = length
    return made


def comes(request: Request, *pieces: bytes, end: bool = False) -> None:
    request.body += pieces
    request.complete = end


def test_body_of_known_length_passes_as_it_comes():
    asked = request(10)
    upload = Upload(asked)
    comes(asked, b"hello")
    assert upload.begin() == b"hello"
    assert not upload.sent_all
    comes(asked, b"w", b"orld", end=True)
    assert upload.more() == b"world"
    assert upload.sent_all
    assert upload.more() == b""


def test_chunked_body_is_chunked_and_ended_once():
    asked = request(None)
    upload = Upload(asked)
    comes(asked, b"hello", b"!")
    assert upload.begin() == b"5\r\nhello\r\n1\r\n!\r\n"
    comes(asked, end=True)
    assert upload.more() == b"0\r\n\r\n"
    assert upload.more() == b""


def test_body_that_was_sent_can_be_sent_again():
    asked = request(None)
    upload = Upload(asked)
    comes(asked, b"hello")
    upload.begin()
    comes(asked, b"!", end=True)
    upload.more()
    assert upload.replayable
    assert upload.begin() == b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
    assert upload.sent_all


@pytest.mark.parametrize(("size", "replayable"), [(KEPT_BYTES, True), (KEPT_BYTES + 1, False)])
def test_only_a_small_body_is_kept(size, replayable):
    asked = request(size)
    upload = Upload(asked)
    comes(asked, bytes(size), end=True)
    assert len(upload.begin()) == size
    assert upload.replayable is replayable
