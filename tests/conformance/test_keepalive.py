"""Connections of clients: kept, pipelined, and ended in order."""

import pytest


@pytest.mark.rule("Q1")
def test_pipelined_requests_are_each_served(site, connect):
    client = connect()
    one = b"POST /%d HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 5\r\n\r\nhello"
    client.send(one % 1 + one % 2)
    assert client.response().status == 200
    assert client.response().status == 200
    assert [site.one.got().target for _ in range(2)] == [b"/1", b"/2"]
