"""What backends of the suite do and say."""

from tests.conformance.backends import Conversation


def answer(*fields: bytes, status: bytes = b"200 OK", body: bytes = b"") -> bytes:
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(lines) + body


def dies(plane: Conversation) -> None:
    """Takes a request and closes without an answer."""
    plane.request()


def silent(plane: Conversation) -> None:
    plane.request()
    plane.closed()


def reached(site) -> int:
    """How many connections the pool of two took."""
    return site.left.connections + site.right.connections
