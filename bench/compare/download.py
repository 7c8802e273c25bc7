"""Reads one large answer and throws it away. python -m bench.compare.download PORT PATH

Prints its bytes and the seconds from the request to the last byte.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from bench.compare.held import length

TIMEOUT_S = 60.0
PIECE_BYTES = 1 << 20


def main(port: int, path: str) -> None:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as sock:
        began = time.monotonic()
        sock.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := sock.recv(PIECE_BYTES)):
                raise SystemExit("the answer ended within its head")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"no 200: {head[:100]!r}")
        total = length(head)
        left = total - len(body)
        buffer = bytearray(PIECE_BYTES)
        while left:
            # MSG_TRUNC (tcp(7)): dropped in the kernel, so that reading is not what limits.
            count = sock.recv_into(buffer, min(left, PIECE_BYTES), socket.MSG_TRUNC)
            if not count:
                raise SystemExit(f"{left} of {total} bytes are missing")
            left -= count
    print(json.dumps({"bytes": total, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
