"""How a client's connection ends; what is said on it is the conformance suite's."""

import asyncio
import re

import pytest

from pools.gateway.gateway import Gateway
from tests.gateway.test_accepting import connected, listening, run

UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
PIPELINED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nX: "


@pytest.mark.parametrize("sent", [UPGRADE, PIPELINED], ids=["upgrade", "pipelined"])
def test_the_last_answer_is_not_cut_by_what_was_sent_behind_its_request(sent):
    """A socket that is closed with bytes unread resets, which may take the answer with it."""

    async def ask():
        async with (
            listening(trusted=(), kind=Gateway) as listener,
            connected(listener) as (reader, writer),
        ):
            listener.gateway.draining = True  # the connection ends with its answer
            writer.write(sent + b"x" * 1_000_000)
            return await asyncio.wait_for(reader.read(), 8)

    head, _, body = run(ask()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert len(body) == int(re.search(rb"content-length: (\d+)", head.lower())[1])
