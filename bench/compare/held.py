"""Holds idle connections. python -m bench.compare.held PORT COUNT

Opens them, with one request and its answer each, and says so; makes one more request on each
for every line that it reads. Each time it prints how many were served and how long it took.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from contextlib import suppress

BATCH = 50
TIMEOUT_S = 30.0
REQUEST = b"GET /some/path HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answer(sock: socket.socket) -> bool:
    """Reads one answer that has a Content-Length, and no byte more; whether it was a 200."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sock.recv(65536)):
            return False
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    left = length(head) - len(body)
    while left > 0:
        if not (more := sock.recv(65536)):
            return False
        left -= len(more)
    return left == 0 and head.startswith(b"HTTP/1.1 200 ")


def length(head: bytes) -> int:
    return int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])


def served(connections: list[socket.socket]) -> int:
    """A request on each, some at once, as more would need as many connections upstream."""
    count = 0
    for start in range(0, len(connections), BATCH):
        asked = []
        for sock in connections[start : start + BATCH]:
            with suppress(OSError):
                sock.sendall(REQUEST)
                asked.append(sock)
        for sock in asked:
            with suppress(OSError, ValueError):
                count += answer(sock)
    return count


def main(port: int, count: int) -> None:
    began = time.monotonic()
    connections: list[socket.socket] = []
    done = 0
    while len(connections) < count:
        batch = [
            socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
            for _ in range(min(BATCH, count - len(connections)))
        ]
        connections += batch
        done += served(batch)
    print(json.dumps({"served": done, "seconds": time.monotonic() - began}), flush=True)
    for _ in sys.stdin:
        began = time.monotonic()
        done = served(connections)
        print(json.dumps({"served": done, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
