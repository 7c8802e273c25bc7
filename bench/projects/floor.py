"""The floor: what asyncio, uvloop and httptools cost before any rule of ours.

    UPSTREAM=http://127.0.0.1:9000 python -m bench.projects.floor PORT

A protocol for clients and one for the backend, a parser each, connections to the backend
kept, hop-by-hop fields removed, back-pressure both ways. Nothing else: no routes, no
checks, no time-outs, no retries, bodies by Content-Length alone, one request at a time on
a connection. It is there to be compared with and forwards what the benchmark sends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import cast

import httptools
import uvloop

_HOST, _PORT = os.environ["UPSTREAM"].removeprefix("http://").split(":")
CLOSE = b"Connection: close\r\n\r\n"
_HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"upgrade"}


class _Side(asyncio.Protocol):
    """What both have: a transport, pieces that wait for one write, and a peer to hold."""

    transport: asyncio.Transport
    other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none by inheritance.
        self.transport = cast(asyncio.Transport, transport)
        self.head: list[bytes] = []
        self.out: list[bytes] = []

    def pause_writing(self) -> None:
        if self.other:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other:
            self.other.transport.resume_reading()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in _HOP_BY_HOP:
            self.head += (name, b": ", value, b"\r\n")

    def on_body(self, body: bytes) -> None:
        self.out.append(body)


class Client(_Side):
    """A client's connection. What it sends before the backend is connected waits in `out`."""

    upstream: Backend | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.parser = httptools.HttpRequestParser(self)
        self.address = transport.get_extra_info("peername")[0].encode()

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_headers_complete(self) -> None:
        self.keep = self.parser.should_keep_alive()
        self.out += (self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n", *self.head)
        self.out += (b"X-Forwarded-For: ", self.address, b"\r\nX-Forwarded-Proto: http\r\n\r\n")
        self.head = []
        if idle:
            self.start(idle.pop())
        else:
            connecting.add(task := asyncio.ensure_future(self.connect()))
            task.add_done_callback(connecting.discard)

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(Backend, _HOST, int(_PORT))
        if self.transport.is_closing():
            upstream.transport.close()
        else:
            self.start(upstream)
            self.flush()

    def start(self, upstream: Backend) -> None:
        self.upstream = self.other = upstream
        upstream.client = upstream.other = self

    def flush(self) -> None:
        if self.upstream and self.out:
            self.upstream.transport.write(b"".join(self.out))
            self.out = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        self.flush()

    def done(self) -> None:
        self.upstream = self.other = None
        if not self.keep:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.upstream:
            self.upstream.client = self.upstream.other = None
            self.upstream.transport.close()


class Backend(_Side):
    """A connection to the backend, of one client at a time or idle."""

    client: Client | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.parser = httptools.HttpResponseParser(self)
        self.complete = False

    def on_status(self, reason: bytes) -> None:
        self.reason = reason

    def on_headers_complete(self) -> None:
        self.out += (b"HTTP/1.1 %d " % self.parser.get_status_code(), self.reason, b"\r\n")
        self.out += (*self.head, b"\r\n" if self.client and self.client.keep else CLOSE)
        self.head = []

    def on_message_complete(self) -> None:
        self.complete = True
        self.keep = self.parser.should_keep_alive()  # later the parser knows no more

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        client = self.client
        if client is None:
            return
        client.transport.write(b"".join(self.out))
        self.out = []
        if self.complete:
            self.complete = False
            self.client = self.other = None
            if self.keep:
                self.transport.resume_reading()
                idle.append(self)
            else:
                self.transport.close()
            client.done()

    def connection_lost(self, exc: Exception | None) -> None:
        if self in idle:
            idle.remove(self)
        if self.client:
            self.client.upstream = self.client.other = None
            self.client.transport.close()


idle: list[Backend] = []
connecting: set[asyncio.Future[None]] = set()


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(
        Client, "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
