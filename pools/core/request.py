"""What the core needs to know of a request."""

from __future__ import annotations

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]


class RequestHead:
    """A request's head, parsed.

    `host` is lower case without port and final dot, IPv6 in brackets, "" when there is
    none. `path` is raw, without query. Names in `headers` are lower case. `client` is the
    address of the client, as decided by `headers.client_address`.

    No dataclass, as one is made for each request and the native build makes plain objects
    much faster; nothing changes it.
    """

    __slots__ = ("client", "headers", "host", "method", "path")

    def __init__(
        self, method: bytes, host: str, path: bytes, headers: Headers, client: str
    ) -> None:
        self.method = method
        self.host = host
        self.path = path
        self.headers = headers
        self.client = client
