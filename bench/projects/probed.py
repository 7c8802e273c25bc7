"""Backends that are probed: ports that answer and ports that hang, and when they were asked.

    python -m bench.projects.probed COUNT

COUNT ports of 127.0.0.1 answer a request with 204 and close; as many others read it and say
nothing. The first line of output has all of them as JSON. A line "report" of input is
answered by a line: the seconds between two requests of one Host on one port, since the
last "begin".
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Times:
    """When each Host was last asked for on each port."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.since = time.monotonic()
        self.last: dict[tuple[int, bytes], float] = {}
        self.gaps: list[float] = []

    def asked(self, key: tuple[int, bytes]) -> None:
        now = time.monotonic()
        if before := self.last.get(key):
            self.gaps.append(now - before)
        self.last[key] = now

    def plain(self) -> dict[str, object]:
        now = time.monotonic()
        waiting = [now - last for last in self.last.values()]
        return {
            "seconds": now - self.since,
            "asked": len(self.last),
            "gaps": self.gaps,
            "waiting": max(waiting, default=0.0),
        }


class Backend(asyncio.Protocol):
    def __init__(self, times: Times, port: int, answers: bool) -> None:
        self._times, self._port, self._answers = times, port, answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        host = data.lower().partition(b"host: ")[2].partition(b"\r\n")[0]
        self._times.asked((self._port, host))
        if self._answers:
            self._transport.write(ANSWER)
            self._transport.close()


async def main(count: int) -> None:
    loop = asyncio.get_running_loop()
    times = Times()
    ports: dict[bool, list[int]] = {True: [], False: []}
    for answers in (True, False):
        for _ in range(count):
            listener = await _listening(loop, times, answers)
            ports[answers].append(listener.sockets[0].getsockname()[1])
    print(json.dumps({"answering": ports[True], "hanging": ports[False]}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "begin":
            times.begin()
        else:
            print(json.dumps(times.plain()), flush=True)


async def _listening(
    loop: asyncio.AbstractEventLoop, times: Times, answers: bool
) -> asyncio.Server:
    ports: list[int] = []
    server = await loop.create_server(
        lambda: Backend(times, ports[0], answers), "127.0.0.1", 0, backlog=4096
    )
    ports.append(server.sockets[0].getsockname()[1])
    return server


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
