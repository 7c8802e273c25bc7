"""A request's body on its way to backends.

Rules:
- What was sent is kept up to KEPT_BYTES, so that it can be sent again to another backend;
  beyond that, the body is not replayable.
- Content-Length stays Content-Length, chunked is chunked again.
- Only a body that came to its end is ended: one that was cut short must not look whole.
"""

from __future__ import annotations

from pools.gateway.requests import Request

KEPT_BYTES = 65_536


class Upload:
    """The body of one request; `sent_all`: this attempt has got all of it."""

    __slots__ = ("_kept", "_kept_bytes", "_request", "sent_all")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0
        self.sent_all = False

    @property
    def replayable(self) -> bool:
        return self._kept is not None

    def begin(self) -> bytes:
        """What there is for a backend that got nothing yet."""
        self.sent_all = False
        kept = self._framed(self._kept) if self._kept else b""
        return kept + self.more()

    def more(self) -> bytes:
        """What came since, for the backend that got the rest."""
        request, kept = self._request, self._kept
        pieces = request.take()
        if kept is not None and pieces:
            self._kept_bytes += sum(map(len, pieces))
            if self._kept_bytes > KEPT_BYTES:
                self._kept = None
            else:
                kept += pieces
        data = self._framed(pieces)
        if request.complete and not self.sent_all:
            self.sent_all = True
            if request.length is None:
                data += b"0\r\n\r\n"
        return data

    def _framed(self, pieces: list[bytes]) -> bytes:
        if self._request.length is None:
            return b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
