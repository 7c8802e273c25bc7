"""The fast backend: answers whatever asks, at once. python -m bench.projects.backend"""

from __future__ import annotations

import asyncio

_BODY = b"x" * 1024
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
    + _BODY
)


class Answering(asyncio.Protocol):
    """Counts the ends of heads; the requests of the benchmark have no bodies."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._unfinished = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._unfinished = (self._unfinished + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(heads))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
