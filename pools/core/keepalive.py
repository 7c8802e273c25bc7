"""How long a backend says that it keeps an idle connection."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TIMEOUT = re.compile(rb'(?:^|[,;\s])timeout\s*=\s*"?(\d+)', re.IGNORECASE)

# Of what a backend allows: the request must be there before the end, not just be sent.
MARGIN_S = 1.0


def idle_s(headers: Iterable[tuple[bytes, bytes]], most_s: float) -> float:
    """The seconds for which a connection may wait for its next request, at most `most_s`.

    By the answer's `Keep-Alive: timeout=N` (RFC 2068 §19.7.1.1, and what Node and Apache
    send); 0: not at all.
    """
    for name, value in headers:
        if len(name) == 10 and name.lower() == b"keep-alive":
            found = _TIMEOUT.search(value)
            if found:
                most_s = min(most_s, max(0.0, int(found[1][:9]) - MARGIN_S))
    return most_s
