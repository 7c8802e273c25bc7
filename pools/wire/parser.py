"""Backends' answers, read strictly.

llhttp refuses what can be read two ways: both lengths, repeated or malformed
Content-Length, bare CR or LF, NUL, folded lines, spaces before a colon, bad chunk sizes.
Checked here besides: codings other than chunked, chunked from HTTP/1.0, versions,
statuses, the size of a head, a switch to a protocol that nobody asked for.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import httptools

from pools.core.headers import Pairs, connection_options
from pools.core.retry import FailureKind
from pools.wire.errors import Malformed, UpstreamError

# Of a head, of trailers and of 1xx answers: what a backend may say without a byte of body.
MAX_HEAD_BYTES: Final = 65_536

_USUAL_REASONS: Final = frozenset(status.phrase.encode() for status in HTTPStatus)
_REASON: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_FRAMING: Final = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_BODILESS: Final = frozenset({204, 304})
_OPEN: Final = 1 << 64  # of a body that ends with its connection; llhttp takes no such length


class Head:
    """The head of an answer; names in `headers` are as they came. Plain as core/request.py
    says."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: Pairs) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers


class ResponseParser:
    """The answers on one connection, one after another: 1xx heads, the final head, the body.

    Feed it what the connection brings. `head` is None until the final head is there;
    `take` fetches the decoded bytes of the body that came since; `complete` says that the
    answer ended as its framing says, and `reusable` that the connection may then carry
    another, for which `begin` makes ready. `upgraded` says that the head is the 101 that
    was asked for: what comes behind it is the other protocol's, and `take` gives it.
    """

    __slots__ = (
        "_begun",
        "_bodiless_bytes",
        "_body",
        "_ended",
        "_headers",
        "_left",
        "_length",
        "_method",
        "_parser",
        "_problem",
        "_reason",
        "_upgrade",
        "_version",
        "body_bytes",
        "complete",
        "head",
        "interim",
        "reusable",
        "upgraded",
    )

    def __init__(self, method: bytes) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.reusable = self._ended = self._begun = False
        self.interim: list[Head] = []
        self._body: list[bytes] = []
        self.begin(method)

    def begin(self, method: bytes, upgrade: bytes | None = None) -> None:
        """Makes it ready for the answer to a request, which asked to switch to `upgrade`."""
        if self._begun and not (self._ended and self.reusable):
            self._parser = httptools.HttpResponseParser(self)
        self.head: Head | None = None
        if self.interim:
            self.interim = []
        self.complete = False
        self.reusable = False
        self.upgraded = False
        self.body_bytes = 0  # not taken yet
        self._method = method
        self._upgrade = upgrade
        if self._body:
            self._body = []
        self._problem = ""
        self._begun = False  # bytes of the answer came
        self._version = ""  # of the head under way, where that is known
        self._bodiless_bytes = 0
        self._length = 0  # of the body; of one in chunks, 0
        self._left = 0  # of the body, where that need not be parsed
        self._ended = False  # llhttp saw the answer end, and takes another

    def feed(self, data: bytes) -> None:
        """Takes what was received; raises UpstreamError for what is malformed."""
        if self._left:
            self._count(data)
            return
        had = len(self._body)
        bodiless_bytes = self._bodiless_bytes + len(data)
        measure = self.head is None and bodiless_bytes > MAX_HEAD_BYTES
        if not self._begun:
            self._begun = True
            if data.startswith(b"HTTP/1.1 "):
                self._version = "1.1"
            elif not b"HTTP/".startswith(data[:5]):  # llhttp reads RTSP and ICE too
                raise Malformed("is not HTTP")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switch:
            behind: int = switch.args[0]
            if not self._problem and behind < len(data):
                self.on_body(data[behind:])
        except httptools.HttpParserError as error:
            if self.complete:  # bytes behind the answer: they concern no request of ours
                self.reusable = False
                return
            self._problem = self._problem or str(error)
        if self._problem:
            raise Malformed(self._problem)
        if measure and self._heads_bytes() > MAX_HEAD_BYTES:
            raise Malformed("has a head too large")
        if self.complete:
            return
        if self._length:
            self._left = self._length - self.body_bytes
        elif len(self._body) > had:
            self._bodiless_bytes = 0
        else:
            self._bodiless_bytes = bodiless_bytes
            if bodiless_bytes > MAX_HEAD_BYTES:
                raise Malformed("has a head too large")

    def end(self) -> None:
        """The connection was closed; raises UpstreamError if the answer needed more."""
        self.reusable = False
        if self.complete:
            return
        if self.head is None:
            raise UpstreamError(
                FailureKind.ERROR, "the backend closed the connection before an answer"
            )
        if self._length != _OPEN:
            raise UpstreamError(FailureKind.ERROR, "the backend's answer was cut short")
        self.complete = True

    def take(self) -> bytes:
        """The body's bytes since the last call."""
        pieces, self.body_bytes = self._body, 0
        if len(pieces) == 1:
            return pieces.pop()
        self._body = []
        return b"".join(pieces)

    def _count(self, data: bytes) -> None:
        """Takes what only has to be counted: the rest of a body whose length is known."""
        size = len(data)
        if size > self._left:  # bytes behind the answer
            self.reusable = False
            data = data[: self._left]
            size = len(data)
        self._left -= size
        self.complete = not self._left
        self._body.append(data)
        self.body_bytes += size

    def _heads_bytes(self) -> int:
        """About what the heads took that are here, 1xx and final."""
        heads = self.interim if self.head is None else [*self.interim, self.head]
        return sum(
            19 + sum(len(name) + len(value) + 4 for name, value in head.headers)
            for head in heads
        )

    # What httptools calls.

    def on_message_begin(self) -> None:
        self.reusable = False  # after a complete answer: bytes behind it
        self._headers: Pairs = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:  # afterwards: trailers, which are dropped
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.head is not None or self._problem:
            return
        status = self._parser.get_status_code()
        version = self._version or self._parser.get_http_version()
        reason = self._reason
        if (
            reason not in _USUAL_REASONS and not _REASON.fullmatch(reason)
        ) or not 100 <= status <= 599:
            self._problem = "has a malformed status line"
        elif version not in ("1.0", "1.1"):
            self._problem = f"is of HTTP version {version}"
        elif status == 101:
            self._switch()
        elif status < 200:
            self.interim.append(Head(status, reason, self._headers))
            self._version = ""
        else:
            self._frame(status, version)

    def on_body(self, data: bytes) -> None:
        if self.complete:  # a body where none may be, as behind HEAD
            self.reusable = False
        else:
            self._body.append(data)
            self.body_bytes += len(data)

    def on_message_complete(self) -> None:
        if self.head is not None and not self.upgraded:
            self.complete = True
            # Where llhttp thinks that the connection ends it takes no other answer.
            self._ended = self._parser.should_keep_alive()

    def _switch(self) -> None:
        """Takes a 101 that switches to what was asked for (RFC 9110 §7.8)."""
        lower = [(name.lower(), value) for name, value in self._headers]
        named = [value.lower() for name, value in lower if name == b"upgrade"]
        if (
            self._upgrade is None
            or named != [self._upgrade.lower()]
            or b"upgrade" not in connection_options(lower)
        ):
            self._problem = "switches protocols unasked"
            return
        self.head = Head(101, self._reason, self._headers)
        self.upgraded = True
        self._length = _OPEN

    def _frame(self, status: int, version: str) -> None:
        """Where the body ends (RFC 9112 §6.3), and whether the connection lives on."""
        chunked = False
        length = _OPEN
        options = b""  # of Connection
        for name, value in self._headers:
            size = len(name)
            if size != 14 and size != 10 and size != 17:  # those of _FRAMING, in a glance
                continue
            lower = name.lower()
            if lower not in _FRAMING:
                continue
            if lower == b"content-length":
                length = int(value)  # llhttp took it
            elif lower == b"connection":
                options += value.lower() + b","
            else:
                if chunked or value.lower() != b"chunked" or version == "1.0":
                    self._problem = "has a transfer coding other than chunked"
                    return
                chunked = True
        self.head = Head(status, self._reason, self._headers)
        if self._method == b"HEAD" or status in _BODILESS:
            self.complete = True
            length = 0
        elif chunked:
            length = 0
        self._length = length
        if length == _OPEN:
            return
        if not options:
            self.reusable = version == "1.1"
            return
        if options == b"keep-alive,":
            self.reusable = True
            return
        named = {option.strip() for option in options.split(b",")}
        self.reusable = b"close" not in named if version == "1.1" else b"keep-alive" in named
