"""Values that are secrets, and what is shown in their place.

A header field holds a secret where its name says so: credentials, cookies, keys and tokens.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "********"

_WORDS = re.compile(
    r"authorization|cookie|credential|passw|secret|signature|token|(^|[-_])(key|auth|apikey)($|[-_])",
    re.IGNORECASE,
)
# Where plain documents have mappings of header fields: HeaderEdit.set, Probe.headers.
_MAPPINGS = frozenset({"set", "headers"})


def is_secret(name: str) -> bool:
    """Whether the value of the header field of this name is one."""
    return _WORDS.search(name) is not None


def shown(name: str, value: str) -> str:
    """The value of a header field, or the mask."""
    return MASK if value and is_secret(name) else value


def fields(values: dict[str, str]) -> dict[str, str]:
    """A mapping of header fields with its secrets masked."""
    return {name: shown(name, value) for name, value in values.items()}


def plain(value: Any) -> Any:
    """Plain data of a document, with the secrets in it masked."""
    if isinstance(value, dict):
        found: dict[str, Any] = {
            key: fields(item) if key in _MAPPINGS and isinstance(item, dict) else plain(item)
            for key, item in value.items()
        }
        if "header" in found and found.get("value"):  # a condition of a route
            found["value"] = shown(found["header"], found["value"])
        return found
    return [plain(item) for item in value] if isinstance(value, list) else value
