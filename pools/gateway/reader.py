"""Requests read from what a client sends.

Rules:
- llhttp parses, and refuses what can be read two ways. What is too large, or has no end, is
  refused here. What was refused is never read on.
- Behind a request that asks for another protocol nothing is parsed: it is that protocol's if
  an answer agrees, and HTTP if none does.
- Once a request is complete, at most SLICE_BYTES behind it are parsed before it is served:
  many small requests take much more memory than the bytes they came in.
- A request with a body switches to nothing: it is served as if it had not asked (RFC 9110
  §7.8 leaves that to the server). llhttp would take the body for the other protocol's bytes.
- Trailers are dropped.
"""

from __future__ import annotations

import re
from typing import Any, Final

import httptools

from pools.conf import Conf
from pools.core.headers import Pairs
from pools.gateway.requests import Request
from pools.wire.errors import Refused

SLICE_BYTES: Final = 16_384

_OTHER_PROTOCOL: Final = re.compile(rb" (?:RTSP|ICE)/")


class RequestReader:
    """Those of one connection.

    `waiting`: requests whose heads are complete, for who serves them to take. `arriving`: the
    one whose body is still coming. `refusal`: what comes is malformed; what is `waiting` came
    before it. `rest`: what came behind a request to switch protocols; None: nobody asked.
    """

    __slots__ = (
        "_conf",
        "_fed_bytes",
        "_head",
        "_head_is_first",
        "_headers",
        "_held",
        "_may_be_large",
        "_parser",
        "_replaying_head",
        "_target",
        "_unread_body",
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
        self._head = b""  # as it came, with what came around it
        self._head_is_first = False  # and nothing before it
        self._fed_bytes = 0  # since something came to its end
        self._may_be_large = False  # so much came that a head has to be measured
        self.waiting: list[Request] = []
        self.arriving: Request | None = None
        self.refusal: Refused | None = None
        self.rest: bytes | None = None
        self._held = b""  # not parsed yet, behind requests that are
        self._unread_body = False  # llhttp skips the body of the request that is arriving
        self._replaying_head = False  # it is told of that body

    @property
    def behind(self) -> bool:
        """Whether there is something to serve or to parse before more is to be read."""
        return bool(self.waiting or self._held or self.rest is not None)

    @property
    def in_head(self) -> bool:
        return bool(self._target or self._headers)

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        if self.refusal is not None:
            return
        if self.rest is not None:
            self.rest += data
        elif self._held or len(data) > SLICE_BYTES:
            self._held += data
            self._parse_held()
        else:
            self._parse(data)

    def _parse_held(self) -> None:
        held, at = self._held, 0
        while at < len(held) and self.refusal is None and self.rest is None:
            self._parse(held[at : at + SLICE_BYTES])
            at += SLICE_BYTES
            if self.waiting and self.arriving is None:
                break
        self._held = held[at:]
        if self.rest is not None:
            self.rest += self._held
            self._held = b""

    def _parse(self, data: bytes) -> None:
        arriving = self.arriving
        before = arriving.received_bytes if arriving is not None else 0
        if self._head:
            self._head += data
        else:
            self._head = data
            self._head_is_first = arriving is None
        self._fed_bytes += len(data)
        if self._fed_bytes > self._conf.max_header_bytes:
            self._may_be_large = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switch:
            rest = data[switch.args[0] :]
            self._parser = httptools.HttpRequestParser(self)
            if self._unread_body:
                self._read_body(rest)
            else:
                self.rest = rest
        except httptools.HttpParserError as error:
            self._refuse(400, str(error))
        if not self.in_head:
            self._head = b""
        if arriving is not None and arriving.received_bytes > before:
            self._fed_bytes = 0
        elif self._may_be_large:
            self._look_for_an_end()

    def read_on(self) -> bool:
        """Parse what came behind what was served; whether there was anything.

        If that asked for another protocol, no answer agreed: it is HTTP.
        """
        if self.rest is not None:
            self._held, self.rest = self.rest, None
        if not self._held or self.refusal is not None:
            return False
        self._parse_held()
        return True

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
        self._held = b""

    # --- what the parser calls -----------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        if not self._replaying_head:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.arriving is None:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._replaying_head:
            return
        parser, headers, conf = self._parser, self._headers, self._conf
        method: bytes = parser.get_method()
        usual = self._head_is_first and self._head.startswith(
            b"%b %b HTTP/1.1\r\n" % (method, self._target)
        )
        self._head_is_first = False
        request = Request(
            method,
            self._target,
            "1.1" if usual else parser.get_http_version(),
            headers,
            keep_alive=parser.should_keep_alive(),
        )
        # As llhttp sees it. Who names no other protocol need not be asked about.
        if b"upgrade" in request.fields or method == b"CONNECT":
            request.upgrade = parser.should_upgrade()
        if not usual and self._is_other_protocol():
            self._refuse(400, "the protocol is not HTTP")
        elif len(self._target) > conf.max_target_bytes:
            self._refuse(414, "the target is too long")
        elif len(headers) > conf.max_header_fields:
            self._refuse(431, "there are too many header fields")
        elif self._may_be_large and _size(headers) > conf.max_header_bytes:
            self._refuse(431, "the header is too large")
        self._target = b""
        self._headers = []
        self._fed_bytes = 0
        self.arriving = request
        if request.upgrade and _body_framing(request):
            request.upgrade = False
            self._unread_body = True
        if self.refusal is None:
            self.waiting.append(request)

    def on_body(self, data: bytes) -> None:
        request = self.arriving
        if request is not None:
            request.body.append(data)
            request.body_bytes += len(data)
            request.received_bytes += len(data)

    def on_message_complete(self) -> None:
        if self._unread_body:
            return
        if self.arriving is not None:
            self.arriving.complete = True
            self.arriving = None
        self._fed_bytes = 0

    # --- within ----------------------------------------------------------------------------

    def _is_other_protocol(self) -> bool:
        """llhttp reads RTSP and ICE too, and does not tell."""
        if not _OTHER_PROTOCOL.search(self._head):
            return False
        line = re.escape(self._target) + rb" +(?:RTSP|ICE)/"
        return re.search(line, self._head) is not None

    def _read_body(self, rest: bytes) -> None:
        """Have a new parser read the body that the last one skipped."""
        assert self.arriving is not None
        self._unread_body = False
        self._replaying_head = True
        self._parser.feed_data(b"PUT / HTTP/1.1\r\n%b\r\n" % _body_framing(self.arriving))
        self._replaying_head = False
        if rest:
            self._parse(rest)

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


def _body_framing(request: Request) -> bytes:
    """The field that says how its body is framed; b"": it has none."""
    if (coding := request.fields.get(b"transfer-encoding")) is not None:
        return b"Transfer-Encoding: %b\r\n" % coding
    length = request.fields.get(b"content-length", b"0")
    return b"Content-Length: %b\r\n" % length if length.strip(b"0") else b""


def _size(headers: Pairs) -> int:
    """As on the wire, with colon, space and line end."""
    return sum([len(name) + len(value) + 4 for name, value in headers])
