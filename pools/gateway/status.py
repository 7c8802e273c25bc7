"""A worker's part of the status listener: health, readiness, and the figures of all workers.

Rules:
- The workers of a gateway share the listener, and any of them answers for all: each also
  listens on a Unix socket in their run folder, and whoever is asked asks the others.
- A worker that does not answer in time is told as such; sockets of dead ones are removed.
- Figures are put together in a thread: traffic does not wait for ten thousand routes.
- None of it is served where the public gets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from pools import native
from pools.gateway.certificates import Certificates
from pools.gateway.figures import GAUGES, Whole, pools
from pools.gateway.gateway import Gateway
from pools.gateway.status_page import Hosts, Page, StatusPage, line

logger = logging.getLogger("pools.gateway")

ANSWER_S = 2.0  # what another worker has
ANSWER_BYTES = 64 * 1024 * 1024
SUFFIX = ".status"

Probing = Callable[[], dict[str, Any]]


async def serve(
    sock: socket.socket | None,
    gateway: Gateway,
    folder: Path,
    certificates: Certificates | None = None,
    probing: Probing = dict,
) -> Status:
    """Begin to answer on a listening socket, and the gateway's other workers in any case."""
    status = Status(gateway, folder, certificates, probing)
    await status.start(sock)
    return status


class Status:
    """What one worker answers. `folder` is that of the gateway's workers, and theirs alone.
    `probing` says whether anybody probes."""

    def __init__(
        self,
        gateway: Gateway,
        folder: Path,
        certificates: Certificates | None = None,
        probing: Probing = dict,
    ) -> None:
        self._gateway = gateway
        self._certificates = certificates
        self._probing = probing
        self._folder = folder
        self._begun = time.monotonic()
        self._pid = os.getpid()
        self._own = folder / f"{self._pid}{SUFFIX}"
        self._servers: list[asyncio.AbstractServer] = []
        self._open_ones: set[StatusPage] = set()
        self.telling: set[_Telling] = set()  # other workers
        self._collecting: asyncio.Task[bytes] | None = None

    async def start(self, sock: socket.socket | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._answer_others()
        except OSError as error:
            logger.warning(
                "the status page tells of one worker at a time, %s cannot be used: %s",
                self._folder,
                error,
            )
        if sock is not None:
            name = sock.getsockname()
            hosts = Hosts(name[0] if isinstance(name, tuple) else "")

            def page() -> StatusPage:
                return StatusPage(loop, self._open_ones, hosts, self._page)

            if sock.family == socket.AF_UNIX:
                self._servers.append(await loop.create_unix_server(page, sock=sock))
            else:
                self._servers.append(await loop.create_server(page, sock=sock))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for page in tuple(self._open_ones):
            page.abort()
        for telling in tuple(self.telling):
            telling.abort()
        if self._collecting:
            self._collecting.cancel()
        with suppress(OSError):
            self._own.unlink()

    # --- pages ---------------------------------------------------------------------------

    async def _page(self, path: str) -> Page | None:
        if path == "/-/healthz":
            return line(200, "ok")
        if path == "/-/readyz":
            return await self._readiness()
        if path == "/-/status":
            if self._collecting is None:
                # Whoever asks meanwhile gets the same.
                self._collecting = asyncio.create_task(self._collect())
                self._collecting.add_done_callback(self._collected)
            return Page(200, await asyncio.shield(self._collecting))
        return None

    async def _readiness(self) -> Page:
        """Of the gateway: while this worker drains, another may be ready."""
        own = self.gauges()
        ready = own if _ready(own) else None
        if ready is None:
            answers = await self._ask_others(_read_gauges)
            told = (_parsed(answer) for _, answer in answers)
            ready = next((gauges for gauges in told if gauges and _ready(gauges)), None)
        if ready is not None:
            return _json(200, {"ready": True, "revision": ready["revision"]})
        why = "draining" if own["draining"] else "no configuration was loaded yet"
        return _json(503, {"ready": False, "why": why})

    def _collected(self, _: asyncio.Task[bytes]) -> None:
        self._collecting = None

    async def _collect(self) -> bytes:
        gauges = self.gauges()
        certificates = self._certificates.plain() if self._certificates else []
        others = await self._ask_others(_read_all)
        return await asyncio.to_thread(self._put_together, gauges, certificates, others)

    def _put_together(
        self,
        gauges: dict[str, Any],
        certificates: list[dict[str, Any]],
        others: Iterable[tuple[int, bytes]],
    ) -> bytes:
        whole = Whole()
        whole.add(self.figures(gauges))
        for pid, answer in others:
            figures = _parsed(answer.partition(b"\n")[2])
            try:
                whole.add(figures or {})
            except (KeyError, TypeError, ValueError):  # of another release, say
                whole.workers.append({"pid": pid, "problem": "no answer that can be read"})
        beside = {"certificates": certificates, "probing": self._probing()}
        return json.dumps({**whole.plain(), **beside}).encode()

    # --- this worker -----------------------------------------------------------------------

    def gauges(self) -> dict[str, Any]:
        """What the loop's thread alone can tell."""
        gateway = self._gateway
        return {
            "pid": self._pid,
            "uptime_s": round(time.monotonic() - self._begun, 1),
            "revision": gateway.engine.snapshot.revision,
            "native": native.in_use,
            "loaded": gateway.loaded(),
            "draining": gateway.draining,
            **{name: getattr(gateway, name) for name in GAUGES},
        }

    def figures(self, gauges: dict[str, Any]) -> dict[str, Any]:
        return {
            "worker": gauges,
            "counters": self._gateway.counters.plain(),
            **pools(self._gateway.engine),
        }

    # --- the others ------------------------------------------------------------------------

    async def _answer_others(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = self._folder.stat()
        if made.st_uid != os.geteuid() or stat.S_IMODE(made.st_mode) & 0o077:
            raise PermissionError("it is not this user's alone")
        # Under its name it listens already: one that is refused is dead.
        unready = self._folder / f".{self._pid}"
        unready.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: _Telling(self), os.fspath(unready))
        self._servers.append(server)
        unready.rename(self._own)

    async def _ask_others(self, read: Read) -> list[tuple[int, bytes]]:
        """Process and answer of each; b"": it did not answer in time."""
        try:
            found = sorted(self._folder.glob(f"[0-9]*{SUFFIX}"))
        except OSError:
            found = []
        asked = (_ask(path, read) for path in found if path != self._own)
        return [answer for answer in await asyncio.gather(*asked) if answer]


class _Telling(asyncio.Protocol):
    """Tells another worker of this one: the gauges on a line, then all figures."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._status.telling.add(self)
        gauges = self._status.gauges()
        self._transport.write(json.dumps(gauges).encode() + b"\n")
        self._task = asyncio.create_task(self._tell(gauges))

    def connection_lost(self, error: Exception | None) -> None:
        self._status.telling.discard(self)
        self._task.cancel()

    def abort(self) -> None:
        self._transport.abort()

    async def _tell(self, gauges: dict[str, Any]) -> None:
        figures = await asyncio.to_thread(self._status.figures, gauges)
        self._transport.write(await asyncio.to_thread(lambda: json.dumps(figures).encode()))
        self._transport.close()


Read = Callable[[asyncio.StreamReader], Awaitable[bytes]]


async def _ask(path: Path, read: Read) -> tuple[int, bytes] | None:
    try:
        return int(path.stem), await asyncio.wait_for(_answer_of(path, read), ANSWER_S)
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
        return None
    except (OSError, ValueError):  # TimeoutError is one of the first, a line too long of both
        return int(path.stem), b""


async def _answer_of(path: Path, read: Read) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        return await read(reader)
    finally:
        writer.close()


async def _read_gauges(reader: asyncio.StreamReader) -> bytes:
    return await reader.readline()


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    pieces, left = [], ANSWER_BYTES
    while left > 0 and (piece := await reader.read(1_048_576)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _parsed(answer: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(answer)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _ready(gauges: Mapping[str, Any]) -> bool:
    return bool(gauges.get("loaded")) and not gauges.get("draining")


def _json(status: int, told: object) -> Page:
    return Page(status, json.dumps(told).encode())
