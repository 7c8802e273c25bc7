"""A backend that keeps the exact bytes of each connection, and says which requests they are.

It answers 204 to each request that is whole, so that no answer has a body to be misread.
"""

from __future__ import annotations

import asyncio
import threading

from tests.faults import PATIENCE_S
from tests.faults.reference import End, Reading, Request, read

ANSWER = b"HTTP/1.1 204 No Content\r\nX-Oracle: yes\r\n\r\n"


class Oracle:
    """`port` is where it listens. What it saw is kept from `forget` on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._conversations: list[_Conversation] = []
        self._arrivals: list[Request] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._do(self._listen())

    def forget(self) -> None:
        self._do(self._forget())

    def seen(self) -> list[Request]:
        """The whole requests, in the order of their arrival."""
        return self._do(self._seen())

    def readings(self) -> list[tuple[bytes, Reading]]:
        """The bytes of each connection since `forget`, and what they mean. One on which a
        request was left unfinished is kept from its beginning."""
        return self._do(self._readings())

    def close(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    async def _listen(self) -> int:
        self._server = await self._loop.create_server(
            lambda: _Conversation(self), "127.0.0.1", 0, backlog=1024
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> None:
        self._server.close()
        for conversation in self._conversations:
            conversation.abort()
        await self._settled()

    async def _forget(self) -> None:
        for conversation in self._conversations:
            conversation.forget()
        self._conversations = [each for each in self._conversations if each.open]
        self._arrivals.clear()

    async def _settled(self) -> None:
        for _ in range(3):  # what the sockets hold already is read before
            await asyncio.sleep(0)

    async def _seen(self) -> list[Request]:
        await self._settled()
        return list(self._arrivals)

    async def _readings(self) -> list[tuple[bytes, Reading]]:
        await self._settled()
        return [(bytes(each.data), read(bytes(each.data))) for each in self._conversations]


class _Conversation(asyncio.Protocol):
    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self.data = bytearray()
        self._answered = 0
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._oracle._conversations.append(self)

    def data_received(self, data: bytes) -> None:
        self.data += data
        reading = read(bytes(self.data))
        new = reading.requests[self._answered :]
        self._answered += len(new)
        self._oracle._arrivals += new
        self._transport.write(ANSWER * len(new))  # type: ignore[attr-defined]
        if reading.end in (End.REFUSED, End.CLOSED):
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False

    def abort(self) -> None:
        self._transport.abort()  # type: ignore[attr-defined]

    def forget(self) -> None:
        if read(bytes(self.data)).end is End.NOTHING:
            self.data.clear()
            self._answered = 0
