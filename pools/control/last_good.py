"""The last good document and health in files, to start from when the database is away.

Two files, as health turns often and is small while a document may have megabytes. What
health says of backends that the document does not have is of no consequence.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pools.core import codec
from pools.core.document import Document
from pools.core.errors import DocumentError
from pools.core.probing import Verdict

logger = logging.getLogger("pools.control")

NAME = "last-good.json"
HEALTH = "last-good-health.json"


def save(folder: Path, document: Document, *, revision: int) -> None:
    """Keep a document. Raises OSError."""
    plain = codec.to_plain(document, defaults=True)
    _replace(folder, NAME, {"revision": revision, "document": plain})


def load(folder: Path) -> tuple[int, Document] | None:
    """The revision's number and document; None, with a warning, where there is none to use."""
    path = folder / NAME
    try:
        data = json.loads(path.read_bytes())
        return int(data["revision"]), codec.parse(data["document"])
    except FileNotFoundError:
        logger.warning("there is no last good configuration at %s", path)
    except OSError as error:
        logger.warning("the last good configuration cannot be read: %s", error)
    except (ValueError, LookupError, TypeError, DocumentError) as error:
        logger.warning("the last good configuration at %s is of no use: %r", path, error)
    return None


def save_health(folder: Path, verdicts: Mapping[str, Verdict]) -> None:
    """Keep the verdicts on backends, by key. Raises OSError."""
    known = {key: verdict for key, verdict in verdicts.items() if verdict != Verdict.UNKNOWN}
    _replace(folder, HEALTH, known)


def load_health(folder: Path) -> dict[str, Verdict]:
    """The verdicts on backends, by key; none, with a warning, where they are of no use."""
    path = folder / HEALTH
    try:
        found = json.loads(path.read_bytes())
        return {str(key): Verdict(verdict) for key, verdict in found.items()}
    except FileNotFoundError:
        return {}  # nothing was ever probed
    except (OSError, ValueError, AttributeError) as error:
        logger.warning("the last good health at %s is of no use: %r", path, error)
        return {}


def _replace(folder: Path, name: str, data: object) -> None:
    """Replace a file at once and for good (0600, fsync). Raises OSError.

    Processes may do it at the same time: each writes a file of its own and renames it.
    """
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / name)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync(folder)


def _sync(folder: Path) -> None:
    """The new name too lasts only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
