"""Answers of the gateway's own, as bytes for a client."""

from __future__ import annotations

from email.utils import formatdate

from pools.wire import pages

_HEAD = (
    b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n"
    b"Cache-Control: no-store\r\nX-Request-ID: %b\r\n"
)


def error(
    status: int,
    *,
    method: bytes,
    accept: bytes,
    request_id: bytes,
    connection: bytes,
    retry_after_s: int = 0,
) -> tuple[bytes, int]:
    """A whole answer, and the length of its body. `connection` is that field's line, or b""."""
    kind, content = pages.error(
        status, accept=accept.decode("latin-1"), request_id=request_id.decode("latin-1")
    )
    body = content.encode()
    head = _HEAD % (
        status,
        pages.title(status).encode(),
        formatdate(usegmt=True).encode(),
        kind.encode(),
        len(body),
        request_id,
    )
    if status == 405:
        head += b"Allow: " + pages.ALLOW.encode() + b"\r\n"
    if retry_after_s:
        head += b"Retry-After: %d\r\n" % retry_after_s
    if method == b"HEAD":
        body = b""
    return head + connection + b"\r\n" + body, len(body)
