"""Requests read from what a client sends.

Rules:
- llhttp parses, and refuses what can be read two ways. What is too large, or has no end, is
  refused here. What was refused is never read on.
- Behind a request that asks for another protocol nothing is parsed: it is that protocol's if
  an answer agrees, and HTTP if none does.
- Trailers are dropped.
"""

from __future__ import annotations

from typing import Any

import httptools

from pools.conf import Conf
from pools.core.headers import Pairs
from pools.gateway.requests import Request
from pools.wire.errors import Refused


class RequestReader:
    """Those of one connection.

    `waiting`: requests whose heads are complete, for who serves them to take. `arriving`: the
    one whose body is still coming. `refusal`: what comes is malformed; what is `waiting` came
    before it. `rest`: what came behind a request to switch protocols; None: nobody asked.
    """

    __slots__ = (
        "_conf",
        "_fed_bytes",
        "_headers",
        "_may_be_large",
        "_parser",
        "_target",
        "arriving",
        "refusal",
        "rest",
        "waiting",
    )

    _parser: Any  # None once it is closed

    def __init__(self, conf: Conf) -> None:
        self._conf = conf
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: Pairs = []
        self._fed_bytes = 0  # since something came to its end
        self._may_be_large = False  # so much came that a head has to be measured
        self.waiting: list[Request] = []
        self.arriving: Request | None = None
        self.refusal: Refused | None = None
        self.rest: bytes | None = None

    @property
    def in_head(self) -> bool:
        return bool(self._target or self._headers)

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        if self.refusal is not None:
            return
        if self.rest is not None:
            self.rest += data
            return
        arriving = self.arriving
        before = arriving.received_bytes if arriving is not None else 0
        self._fed_bytes += len(data)
        if self._fed_bytes > self._conf.max_header_bytes:
            self._may_be_large = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switch:
            self.rest = data[switch.args[0] :]
            self._parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserError as error:
            self._refuse(400, str(error))
        if arriving is not None and arriving.received_bytes > before:
            self._fed_bytes = 0
        elif self._may_be_large:
            self._look_for_an_end()

    def read_on(self) -> None:
        """No answer agreed to another protocol: what came meanwhile is HTTP."""
        rest, self.rest = self.rest, None
        if rest:
            self.feed(rest)

    def give_up_arriving(self) -> Request | None:
        """The request that is refused, if its head had come; it is not `waiting` any more."""
        arriving, self.arriving = self.arriving, None
        if arriving in self.waiting:
            self.waiting.remove(arriving)
        return arriving

    def close(self) -> None:
        """Let go of the parser, which refers back here."""
        self._parser = None
        self.waiting = []

    # --- what the parser calls -----------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.arriving is None:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        parser, headers, conf = self._parser, self._headers, self._conf
        request = Request(
            parser.get_method(),
            self._target,
            parser.get_http_version(),
            headers,
            keep_alive=parser.should_keep_alive(),
            upgrade=parser.should_upgrade(),
        )
        if len(self._target) > conf.max_target_bytes:
            self._refuse(414, "the target is too long")
        elif len(headers) > conf.max_header_fields:
            self._refuse(431, "there are too many header fields")
        elif self._may_be_large and _size(headers) > conf.max_header_bytes:
            self._refuse(431, "the header is too large")
        self._target = b""
        self._headers = []
        self._fed_bytes = 0
        self.arriving = request
        if self.refusal is None:
            self.waiting.append(request)

    def on_body(self, data: bytes) -> None:
        request = self.arriving
        if request is not None:
            request.body.append(data)
            request.body_bytes += len(data)
            request.received_bytes += len(data)

    def on_message_complete(self) -> None:
        if self.arriving is not None:
            self.arriving.complete = True
            self.arriving = None
        self._fed_bytes = 0

    # --- within ----------------------------------------------------------------------------

    def _refuse(self, status: int, reason: str) -> None:
        self.refusal = self.refusal or Refused(status, reason)

    def _look_for_an_end(self) -> None:
        """Much came, and nothing of it has ended."""
        conf = self._conf
        if self.arriving is not None:
            # Sizes of chunks, their extensions, trailers.
            if self._fed_bytes > conf.max_header_bytes:
                self._refuse(400, "what frames the body is too large")
        elif len(self._target) > conf.max_target_bytes:
            self._refuse(414, "the target is too long")
        elif max(self._fed_bytes, _size(self._headers)) > conf.max_header_bytes:
            self._refuse(431, "the header is too large")


def _size(headers: Pairs) -> int:
    """As on the wire, with colon, space and line end."""
    return sum([len(name) + len(value) + 4 for name, value in headers])
