"""What backends of the suite do and say."""

import select
import socket

from tests.conformance.backends import Conversation, Request


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


def switches(plane: Conversation, protocol: bytes = b"websocket", more: bytes = b"") -> Request:
    """Takes a request and answers it with 101, and what follows at once."""
    request = plane.head()
    assert request is not None
    plane.send(
        b"HTTP/1.1 101 Switching\r\nUpgrade: %b\r\nConnection: upgrade\r\n\r\n%b"
        % (protocol, more)
    )
    return request


def echoes(plane: Conversation) -> None:
    """Answers each request with its target."""
    while (request := plane.request()) is not None:
        plane.send(answer(body=request.target))


def fill(sock: socket.socket, most: int = 100_000_000, piece: bytes = bytes(65_536)) -> int:
    """Sends until the other end has taken nothing for half a second; how much it took."""
    sent = 0
    while sent < most and select.select([], [sock], [], 0.5)[1]:
        sent += sock.send(piece[sent % len(piece) :], socket.MSG_DONTWAIT)
    return sent
