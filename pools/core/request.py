"""What the core needs to know of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class RequestHead:
    """A request's head, parsed.

    `host` is lower case without port and final dot, IPv6 in brackets, "" when there is
    none. `path` is raw, without query. Names in `headers` are lower case. `client` is the
    address of the client, as decided by `headers.client_address`.

    Not frozen, as one is made for each request and freezing doubles its cost; nothing
    changes it.
    """

    method: bytes
    host: str
    path: bytes
    headers: Headers
    client: str
