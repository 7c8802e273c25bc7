"""Rows as the parts that probes go by, each checked once and not at every probe."""

from __future__ import annotations

import logging
from functools import lru_cache
from operator import attrgetter
from typing import Any, cast

from pools.core import codec, document
from pools.core.errors import DocumentError
from pools.models import Pool

logger = logging.getLogger("pools.health")


# What of a pool says how its backends are asked and judged.
ASKED = tuple(
    field.name
    for field in Pool._meta.concrete_fields
    if field.name.startswith(("probe_", "tls_"))
)
asked = attrgetter("pk", *ASKED)


class Specs:
    """Of pools, by id. One that does not hold is said once for each reason, and is None."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[dict[str, Any], document.Pool | None]] = {}

    def pool(self, row: Pool) -> document.Pool | None:
        plain = row.plain()
        known = self._known.get(row.pk)
        if known and known[0] == plain:
            return known[1]
        part = None
        try:
            part = cast(document.Pool, row.part())
        except DocumentError as error:  # written past all checks; publishing says it too
            logger.error("%s is not probed: %s", row.name, error)
        self._known[row.pk] = plain, part
        return part


@lru_cache(maxsize=65_536)
def backend(host: str, port: int, scheme: str) -> document.Backend | None:
    """What a probe needs of a backend; None: it does not hold."""
    plain = {"host": host, "port": port, "scheme": scheme}
    try:
        return codec.parse_part(document.Backend, plain)
    except DocumentError as error:
        logger.error("%s:%s is not probed: %s", host, port, error)
        return None
