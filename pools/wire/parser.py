"""Backends' answers, read strictly.

llhttp refuses what can be read two ways: both lengths, repeated or malformed
Content-Length, bare CR or LF, NUL, folded lines, spaces before a colon, bad chunk sizes.
Checked here besides: codings other than chunked, chunked from HTTP/1.0, versions,
statuses, the size of a head, a switch to a protocol that nobody asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

from pools.core.headers import Pairs, connection_options
from pools.core.retry import FailureKind
from pools.wire.errors import UpstreamError

# Of a head, of trailers and of 1xx answers: what a backend may say without a byte of body.
MAX_HEAD_BYTES = 65_536

_REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer; names in `headers` are as they came."""

    status: int
    reason: bytes
    headers: Pairs


class ResponseParser:
    """The answers on one connection, one after another: 1xx heads, the final head, the body.

    Feed it what the connection brings. `head` is None until the final head is there;
    `take` fetches the decoded bytes of the body that came since; `complete` says that the
    answer ended as its framing says, and `reusable` that the connection may then carry
    another, for which `begin` makes ready. `upgraded` says that the head is the 101 that
    was asked for: what comes behind it is the other protocol's, and `take` gives it.
    """

    def __init__(self, method: bytes) -> None:
        self.begin(method)

    def begin(self, method: bytes, upgrade: bytes | None = None) -> None:
        """Makes it ready for the answer to a request, which asked to switch to `upgrade`."""
        self.head: Head | None = None
        self.interim: list[Head] = []
        self.complete = False
        self.reusable = False
        self.upgraded = False
        self._method = method
        self._upgrade = upgrade
        self.body_bytes = 0  # not taken yet
        self._body: list[bytes] = []
        self._reason = b""
        self._headers: Pairs = []
        self._problem = ""
        self._until_close = False
        self._bodiless_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Takes what was received; raises UpstreamError for what is malformed."""
        if self.upgraded:
            self.on_body(data)
            return
        had = len(self._body)
        if not self._bodiless_bytes and self.head is None:
            # llhttp reads RTSP and ICE too.
            self._refuse_unless(b"HTTP/".startswith(data[:5]), "is not HTTP")
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
            raise _malformed(self._problem)
        if self.complete or len(self._body) > had:
            self._bodiless_bytes = 0
        else:
            self._bodiless_bytes += len(data)
            self._refuse_unless(self._bodiless_bytes <= MAX_HEAD_BYTES, "has a head too large")

    def end(self) -> None:
        """The connection was closed; raises UpstreamError if the answer needed more."""
        self.reusable = False
        if self.complete:
            return
        if self.head is None:
            raise UpstreamError(
                FailureKind.ERROR, "the backend closed the connection before an answer"
            )
        if not self._until_close:
            raise UpstreamError(FailureKind.ERROR, "the backend's answer was cut short")
        self.complete = True

    def take(self) -> bytes:
        """The body's bytes since the last call."""
        pieces, self._body, self.body_bytes = self._body, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # What httptools calls.

    def on_message_begin(self) -> None:
        self.reusable = False  # after a complete answer: bytes behind it
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:  # afterwards: trailers, which are dropped
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.head is not None:
            return
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if not _REASON.fullmatch(self._reason) or not 100 <= status <= 599:
            self._problem = "has a malformed status line"
        elif version not in ("1.0", "1.1"):
            self._problem = f"is of HTTP version {version}"
        elif status == 101:
            self._switch()
        elif status < 200:
            self.interim.append(Head(status, self._reason, self._headers))
        else:
            self._frame(status, version)

    def on_body(self, data: bytes) -> None:
        if self.complete:  # a body where none may be, as behind HEAD
            self.reusable = False
        else:
            self._body.append(data)
            self.body_bytes += len(data)

    def on_message_complete(self) -> None:
        self.complete = self.head is not None and not self.upgraded

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
        self.upgraded = self._until_close = True

    def _frame(self, status: int, version: str) -> None:
        """Where the body ends (RFC 9112 §6.3), and whether the connection lives on."""
        lower = [(name.lower(), value) for name, value in self._headers]
        codings = [value.lower() for name, value in lower if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version == "1.0"):
            self._problem = "has a transfer coding other than chunked"
            return
        self.head = Head(status, self._reason, self._headers)
        if self._method == b"HEAD" or status in _BODILESS:
            self.complete = True
        elif not codings and all(name != b"content-length" for name, _ in lower):
            self._until_close = True
        options = connection_options(lower)
        kept = b"close" not in options if version == "1.1" else b"keep-alive" in options
        self.reusable = kept and not self._until_close

    def _refuse_unless(self, holds: bool, problem: str) -> None:
        if not holds:
            raise _malformed(problem)


def _malformed(problem: str) -> UpstreamError:
    return UpstreamError(FailureKind.ERROR, f"the backend's answer is malformed: {problem}")
