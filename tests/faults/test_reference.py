"""The yardstick itself: what it takes, and that it takes nothing that means two things."""

import pytest

from tests.faults.nasty import LAST, corpus
from tests.faults.reference import End, Request, read

GET = b"GET /n HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /n HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

# Cases of the corpus that are not ambiguous: they test what is done with them.
PLAIN = {
    "chunks: body that is empty",
    "chunks: extension with a value",
    "chunks: last chunk of many zeros",
    "chunks: trailers",
    "chunks: trailer that is a length",
    "fields: Connection of close and keep-alive",
    "fields: Connection that names Host",
    "fields: HTTP/1.0 with a request behind",
    "fields: close with a request behind",
    "fields: value of bytes beyond ASCII",
    "framing: body on a GET",
    "framing: coding named in Connection",
    "framing: expectation with its body at once",
    "framing: length named by underscore",
    "framing: length named in Connection",
    "framing: upgrade that is not granted, with a request behind",
    "framing: upgrade to h2c with a request behind",
    "lines: TRACE with a length",
    "lines: empty lines before",
    "lines: method in lower case",
    "lines: method that nobody knows",
    "lines: nothing but line ends",
    "lines: two blanks before the target",
    "lines: two blanks before the version",
    "targets: absolute form",
    "targets: absolute form without a path",
    "targets: bytes beyond ASCII",
    "targets: dots, plain and encoded",
    "targets: encoded line end",
    "targets: quotes and braces",
    "targets: two slashes, which is no authority",
}


def test_pipelined_requests_are_told_apart():
    data = CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nSum: 1\r\n\r\n" + GET + LAST + GET
    reading = read(data)
    assert reading.requests == [
        Request(b"POST", b"/n", b"hello"),
        Request(b"GET", b"/n", b""),
        Request(b"GET", b"/last", b""),
    ]
    assert reading.end is End.CLOSED


@pytest.mark.parametrize("length", range(1, len(GET)))
def test_part_of_a_request_is_none(length):
    reading = read(GET[:length])
    assert (reading.requests, reading.end) == ([], End.MORE)


def test_body_that_is_not_whole_leaves_a_request_begun():
    reading = read(CHUNKED + b"5\r\nhel")
    assert (reading.requests, reading.begun, reading.end) == ([], (b"POST", b"/n"), End.MORE)


@pytest.mark.parametrize("name", corpus())
def test_corpus_is_refused_but_for_what_has_one_meaning(name):
    reading = read(corpus()[name] + LAST)
    taken = bool(reading.requests) and reading.end is not End.REFUSED
    assert taken == (name in PLAIN), f"{reading}"
