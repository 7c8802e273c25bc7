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
    version: str,
    accept: bytes,
    request_id: bytes,
    keep: bool,
    retry_after_s: int = 0,
) -> tuple[bytes, int]:
    """A whole answer, and the length of its body. `keep`: the connection goes on."""
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
    if not keep:
        head += b"Connection: close\r\n"
    elif version == "1.0":
        head += b"Connection: keep-alive\r\n"
    if method == b"HEAD":
        body = b""
    return head + b"\r\n" + body, len(body)
