"""The last good document in a file, to start from when the database is away."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path

from pools.core import codec
from pools.core.document import Document
from pools.core.errors import DocumentError

logger = logging.getLogger("pools.control")

NAME = "last-good.json"


def save(folder: Path, document: Document, *, revision: int) -> None:
    """Replace the file at once and for good (0600, fsync). Raises OSError.

    Processes may do it at the same time: each writes a file of its own and renames it.
    """
    data = {"revision": revision, "document": codec.to_plain(document, defaults=True)}
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{NAME}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / NAME)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync(folder)


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


def _sync(folder: Path) -> None:
    """The new name too lasts only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
