"""When the certificates end that probes met."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta

from cryptography import x509

logger = logging.getLogger("pools.health")

_KEPT = 16_384

# By digest, as thousands of backends show theirs every few seconds.
_until: dict[bytes, datetime | None] = {}


def until(der: bytes | None) -> datetime | None:
    """The end of a certificate; None where there is none, or it cannot be read."""
    if der is None:
        return None
    digest = hashlib.sha256(der).digest()
    if digest not in _until:
        if len(_until) >= _KEPT:
            _until.clear()
        _until[digest] = _read(der)
    return _until[digest]


def warning(end: datetime, days: int, now: datetime) -> str:
    """What to say of a certificate that has fewer days left; "": nothing.

    It is the same for a day, as what is said anew is written anew.
    """
    left = end - now
    if left >= timedelta(days=days):
        return ""
    if left < timedelta(0):
        return f"the certificate expired on {end:%Y-%m-%d}" if days else ""
    whole = left.days
    if not whole:
        return "the certificate ends within a day"
    return f"the certificate ends in {whole} {'day' if whole == 1 else 'days'}"


def _read(der: bytes) -> datetime | None:
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc
    except (ValueError, x509.InvalidVersion):
        logger.debug("a backend's certificate cannot be read")
        return None
