"""TLS towards backends."""

from __future__ import annotations

import ssl
from functools import lru_cache

from pools.core.document import Tls


@lru_cache(maxsize=256)
def context(spec: Tls) -> ssl.SSLContext:
    """The client context of a pool's TLS; made once, as loading CAs takes milliseconds."""
    made = ssl.create_default_context(cadata=spec.ca or None)
    if not spec.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["http/1.1"])
    return made
