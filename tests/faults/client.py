"""A keep-alive client that says exactly how each of its requests ended."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from tests.faults import PATIENCE_S

BODY = b"0123456789"


@dataclass(slots=True)
class Outcome:
    """How a request ended.

    `status` 0: no answer came. `whole`: the answer ended as its framing says. `tries`: on how
    many connections it was sent. `backend`: who says that it answered; "" for the gateway.
    """

    request_id: str
    method: str
    status: int = 0
    whole: bool = False
    tries: int = 0
    backend: str = ""
    body: bytes = b""
    why: str = ""  # there is no answer, or no whole one

    @property
    def served(self) -> bool:
        return self.status == 200 and self.whole

    def __str__(self) -> str:
        ending = "" if self.whole else " cut"
        return f"{self.method} {self.request_id}: {self.status}{ending} {self.why}".strip()


class Connection:
    """One client's connection, made anew where it is needed."""

    def __init__(self, address: tuple[str, int], host: str) -> None:
        self._address = address
        self._host = host
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def open(self) -> bool:
        return self._streams is not None

    async def ask(self, outcome: Outcome, target: str, *, again: bool = False) -> None:
        """Sends the request and fills in how it ended.

        `again`: one without an answer is sent on a new connection, once and if its method
        is idempotent, as browsers do.
        """
        await self._ask(outcome, target)
        if again and not outcome.status and outcome.method == "GET":
            await self._ask(outcome, target)

    async def _ask(self, outcome: Outcome, target: str) -> None:
        outcome.tries += 1
        outcome.why = ""
        body = BODY if outcome.method == "POST" else b""
        head = (
            f"{outcome.method} {target} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"X-Fault-Id: {outcome.request_id}\r\n"
        )
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        try:
            async with asyncio.timeout(PATIENCE_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(*self._address)
                reader, writer = self._streams
                writer.write(f"{head}\r\n".encode() + body)
                await writer.drain()
                stays = await _read(reader, outcome)
        except ConnectionRefusedError:
            outcome.why = "refused"
        except TimeoutError:
            outcome.why = "no end of it"
        except ConnectionError:
            outcome.why = "reset"
        except EOFError:
            outcome.why = "closed"
        else:
            if stays:
                return
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
        self._streams = None

    def reset(self) -> None:
        """Leave rudely: the other end gets a reset."""
        if self._streams is not None:
            reset(self._streams[1])
        self._streams = None


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read(reader: asyncio.StreamReader, outcome: Outcome) -> bool:
    """Reads the answer; returns whether the connection stays. EOFError where it ends."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.strip().split("\r\n")
    pairs = (field.partition(":") for field in rest)
    fields = {name.lower(): value.strip() for name, _, value in pairs}
    outcome.backend = fields.get("x-backend", "")
    outcome.status = int(line.split(" ")[1])
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            outcome.body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        outcome.body = await reader.readexactly(int(fields["content-length"]))
    outcome.whole = True
    return fields.get("connection", "").lower() != "close"
