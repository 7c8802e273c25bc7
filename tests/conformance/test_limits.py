"""Q11: what is too large, too slow or too much is answered by name."""

import pytest

from tests.conformance.backends import Conversation
from tests.conformance.site import SMALL_BODY


@pytest.mark.rule("Q11")
def test_large_header_is_431(site, connect):
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n")
    assert client.response().status == 431
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_long_target_is_414(site, connect):
    client = connect()
    client.send(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.response().status == 414
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_large_body_is_413_before_it_comes(site, connect):
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: small.test\r\nContent-Length: %d\r\n\r\n" % (SMALL_BODY + 1)
    )
    assert client.response().status == 413
    assert site.one.seen.empty()


@pytest.mark.rule("Q11")
def test_large_chunked_body_is_413_while_it_comes(site, connect):
    site.one.script = Conversation.drain
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: small.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"%x\r\n%b\r\n" % (SMALL_BODY + 1, bytes(SMALL_BODY + 1)))
    assert client.response().status == 413


@pytest.mark.rule("Q11")
def test_body_of_the_largest_size_passes(site, get):
    assert get("/", host="small.test", method="POST", body=bytes(SMALL_BODY)).status == 200
