"""A backend of the fault suite, as a process of its own: server.py NAME LISTENER JOURNAL.

Rules:
- The library alone, so that it starts at once. LISTENER is an inherited descriptor.
- A request whose head is whole is a line of JOURNAL, "METHOD ID", before anything else
  happens to it; a kill takes none of them back.
- Its mode says what becomes of requests; a path of its own goes before the mode.
- `/-/` is for the test, which comes directly: GET /-/state, PUT /-/mode/NAME,
  PUT /-/hold and PUT /-/release.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

PIECE = 65_536
DRIPS = 12
DRIP_EVERY_S = 0.01

MALFORMED = (
    b"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello",
)
TRUNCATED = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf",
)


@dataclass(slots=True)
class Conversation:
    """One request of a connection; `body` yields what comes, decoded."""

    method: str
    path: str
    fields: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def request_id(self) -> str:
        return self.fields.get("x-fault-id", "-")

    async def body(self) -> AsyncIterator[bytes]:
        if "chunked" in self.fields.get("transfer-encoding", ""):
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            while await self.reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return
        left = int(self.fields.get("content-length", 0))
        while left:
            piece = await self.reader.read(min(left, PIECE))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece

    async def read(self) -> int:
        """Reads the body to its end; returns its length."""
        return sum([len(piece) async for piece in self.body()])

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


# True: the connection lives on.
Act = Callable[[Conversation], Awaitable[bool]]


class Server:
    def __init__(self, name: str, journal: int) -> None:
        self.name = name
        self.mode = "answer"
        self.connections = 0  # open now
        self.held = 0  # requests that wait for a release
        self.received = 0  # bytes of bodies, on /sink
        self.sent = 0  # bytes of bodies, on /bytes
        self._journal = journal
        self._released = asyncio.Event()
        self._released.set()
        self._turns = itertools.count()
        self.modes: dict[str, Act] = {
            "answer": self.answer,
            "close": self.close,
            "drip": self.drip,
            "error": self.error,
            "malformed": self.malformed,
            "reset": self.reset,
            "truncated": self.truncated,
            "unavailable": self.unavailable,
        }
        self.paths: dict[str, Act] = {
            "-": self.control,
            "bytes": self.bytes,
            "echo": self.echo,
            "held": self.hold,
            "sink": self.sink,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self.exchange(reader, writer):
                pass
        except (OSError, EOFError):
            pass
        finally:
            self.connections -= 1
            with suppress(OSError):
                writer.close()

    async def exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.strip().split("\r\n")
        method, path, _ = line.split(" ")
        pairs = (field.partition(":") for field in rest)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        asked = Conversation(method, path, fields, reader, writer)
        act = self.paths.get(path.split("/")[1]) or self.modes[self.mode]
        if act != self.control:
            os.write(self._journal, f"{method} {asked.request_id}\n".encode())
        return await act(asked)

    # --- modes ---------------------------------------------------------------------

    async def answer(self, asked: Conversation, status: str = "200 OK") -> bool:
        length = await asked.read()
        body = f"{self.name} {asked.method} {asked.request_id} {length}\n"
        await asked.send(
            f"HTTP/1.1 {status}\r\nX-Backend: {self.name}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        return True

    async def error(self, asked: Conversation) -> bool:
        return await self.answer(asked, "500 Internal Server Error")

    async def unavailable(self, asked: Conversation) -> bool:
        return await self.answer(asked, "503 Service Unavailable")

    async def drip(self, asked: Conversation) -> bool:
        await asked.read()
        head = f"HTTP/1.1 200 OK\r\nX-Backend: {self.name}\r\nContent-Length: {DRIPS}\r\n\r\n"
        for byte in (*head.encode(), *bytes(DRIPS)):
            await asked.send(bytes([byte]))
            if not byte:
                await asyncio.sleep(DRIP_EVERY_S)
        return True

    async def truncated(self, asked: Conversation) -> bool:
        await asked.read()
        await asked.send(TRUNCATED[next(self._turns) % len(TRUNCATED)])
        return False

    async def malformed(self, asked: Conversation) -> bool:
        await asked.read()
        await asked.send(MALFORMED[next(self._turns) % len(MALFORMED)])
        return False

    async def close(self, asked: Conversation) -> bool:
        await asked.read()
        return False

    async def reset(self, asked: Conversation) -> bool:
        sock = asked.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        asked.writer.transport.abort()
        return False

    # --- paths ---------------------------------------------------------------------

    async def hold(self, asked: Conversation) -> bool:
        """/held: answers once it is released."""
        self.held += 1
        try:
            await self._released.wait()
        finally:
            self.held -= 1
        return await self.answer(asked)

    async def sink(self, asked: Conversation) -> bool:
        """/sink: reads its body once it is released."""
        self.held += 1
        await self._released.wait()
        self.held -= 1
        async for piece in asked.body():
            self.received += len(piece)
        asked.fields["content-length"] = "0"  # it is read
        return await self.answer(asked)

    async def bytes(self, asked: Conversation) -> bool:
        """/bytes/N: a body of so many zeros."""
        count = int(asked.path.rpartition("/")[2])
        await asked.send(f"HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n".encode())
        piece = bytes(PIECE)
        for start in range(0, count, PIECE):
            await asked.send(piece[: count - start])
            self.sent += len(piece[: count - start])
        return True

    async def echo(self, asked: Conversation) -> bool:
        """/echo: switches protocols and gives back what comes, until the other side ends."""
        await asked.send(
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        while data := await asked.reader.read(PIECE):
            await asked.send(data)
        return False

    async def control(self, asked: Conversation) -> bool:
        match asked.path.split("/")[2:]:
            case ["mode", name]:
                assert name in self.modes
                self.mode = name
            case ["hold"]:
                self._released.clear()
            case ["release"]:
                self._released.set()
        names = ("connections", "held", "mode", "received", "sent")
        body = json.dumps({name: getattr(self, name) for name in names})
        await asked.send(
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        return True


async def main(name: str, listener: int, journal: str) -> None:
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    server = Server(name, file)
    sock = socket.socket(fileno=listener)
    async with await asyncio.start_server(server.serve, sock=sock, backlog=1024) as listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
