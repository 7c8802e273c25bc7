"""One request and its answer on the status listener: small, bounded, and closed behind it.

Rules:
- It is for programs and people of this machine. A name that is not of this machine in Host is
  refused: by such a name a web page elsewhere could read it (DNS rebinding).
- A connection has HEAD_BYTES and OPEN_S, whatever the client does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httptools

from pools.core.target import parse_authority

logger = logging.getLogger("pools.gateway")

HEAD_BYTES = 8192
OPEN_S = 10.0
MOST_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    content: bytes
    kind: str = "application/json"


def line(status: int, text: str) -> Page:
    return Page(status, f"{text}\n".encode(), "text/plain; charset=utf-8")


class Hosts:
    """The Host fields that are served, for who listens on `bind`; "": on a Unix socket."""

    def __init__(self, bind: str) -> None:
        self._unix = not bind
        self._bind = ipaddress.ip_address(bind.partition("%")[0]) if bind else None

    def serves(self, value: bytes) -> bool:
        if self._unix:  # no browser gets there
            return True
        try:
            host = parse_authority(value).host
        except ValueError:
            return False
        if host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        assert self._bind is not None
        # An address is nothing that can be rebound; one of this machine's is fine.
        return address.is_loopback or address == self._bind or self._bind.is_unspecified


class StatusPage(asyncio.Protocol):
    """A connection. `answer` gives the page of a path, None: there is none."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        open_ones: set[StatusPage],
        hosts: Hosts,
        answer: Callable[[str], Awaitable[Page | None]],
    ) -> None:
        self._loop = loop
        self._open_ones = open_ones
        self._hosts = hosts
        self._answer = answer
        self._parser = httptools.HttpRequestParser(self)
        self._bytes = 0
        self._target = b""
        self._named: list[bytes] = []  # Host fields
        self._task: asyncio.Task[None] | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open_ones.add(self)
        self._timer = self._loop.call_later(OPEN_S, self.abort)
        if len(self._open_ones) > MOST_CONNECTIONS:
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._open_ones.discard(self)
        self._timer.cancel()
        if self._task:
            self._task.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._task or self._answered:
            return  # a body, or another request: nobody wants it
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # it is answered as if it had not asked
        except httptools.HttpParserError:
            self._refuse(400, "the request is malformed")
            return
        if self._bytes > HEAD_BYTES:
            self._refuse(431, "the request is too large")

    def eof_received(self) -> bool:
        return self._task is not None  # half-closed: it still reads

    # What httptools calls.

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"host":
            self._named.append(value.strip())

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self._task or self._answered:
            return
        method = parser.get_method()
        one = len(self._named) == 1 or (not self._named and parser.get_http_version() == "1.0")
        if not one:
            self._refuse(400, "the request needs one Host field")
        elif self._named and not self._hosts.serves(self._named[0]):
            self._refuse(421, "ask by localhost, or by the address that this listens on")
        elif method not in (b"GET", b"HEAD"):
            self._refuse(405, "GET and HEAD alone are served here")
        else:
            path = self._target.partition(b"?")[0].decode("latin-1")
            self._task = self._loop.create_task(self._serve(path, head=method == b"HEAD"))

    async def _serve(self, path: str, *, head: bool) -> None:
        try:
            page = await self._answer(path)
        except Exception:
            logger.exception("the status page failed")
            page = line(500, "this failed; the log says why")
        self._write(page or line(404, "nothing is served at this address"), head=head)

    def _refuse(self, status: int, text: str) -> None:
        if not self._task and not self._answered:
            self._write(line(status, text))

    def _write(self, page: Page, *, head: bool = False) -> None:
        self._answered = True
        allow = "Allow: GET, HEAD\r\n" if page.status == 405 else ""
        fields = (
            f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}\r\n"
            f"Content-Type: {page.kind}\r\n"
            f"Content-Length: {len(page.content)}\r\n"
            f"{allow}"
            "Cache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        self._transport.write(fields.encode() + (b"" if head else page.content))
        self._transport.close()
