"""Celery's messages as files, on one machine without Redis: kombu's transport, mended.

kombu writes a message in its place, so that a full disk leaves an empty one, which ends
every worker that reads it. Here:
- A file is written beside its place and renamed: it is whole, or not there.
- Of several workers the one that removes a message has it.
- A message that cannot be read is dropped, which one line says.
- Folders are made when they are needed, also when they were removed meanwhile.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

from pools import ticking

logger = logging.getLogger(__name__)

SCHEME = "files"  # of broker_url

_reading = ticking.BrokerOutage(
    ticking.WORKER,
    logger,
    begun="messages cannot be read, nothing is probed",
    over="messages are read again",
)


class Channel(filesystem.Channel):
    """Raises ChannelError for a message that could not be written, and leaves no file of it."""

    @property
    def data_folder_in(self) -> str:
        return _made(self.transport_options["data_folder_in"])

    @property
    def data_folder_out(self) -> str:
        return _made(self.transport_options["data_folder_out"])

    @property
    def control_folder(self) -> Path:
        return Path(_made(self.transport_options["control_folder"]))

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        try:
            # Sorted by name is sorted by time, which is how they are read.
            name = f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
            _write(Path(self.data_folder_out, name), payload)
        except OSError as error:
            folder = self.transport_options["data_folder_out"]
            raise ChannelError(f"{folder}: {error.strerror}") from error

    def _get(self, queue: str) -> Any:
        try:
            found = self._take(queue)
        except OSError as error:  # a worker that ends would find the same again
            _reading.begins(error)
            raise Empty from error
        _reading.over()
        if found is None:
            raise Empty
        return found

    def _take(self, queue: str) -> Any:
        folder = self.data_folder_in
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            path = Path(folder, name)
            try:
                content = path.read_bytes()
                path.unlink()
            except FileNotFoundError:  # another worker was faster
                continue
            try:
                payload = loads(content)
                payload["properties"]["delivery_tag"]  # all messages have one
                return payload
            except (ValueError, LookupError, TypeError):
                logger.warning("message %s is dropped: it cannot be read", path)
        return None

    def get_table(self, exchange: str) -> list[Any]:
        try:
            table: list[Any] = super().get_table(exchange)
        except ValueError:  # written by kombu itself, on a full disk
            return []
        return table

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Bindings are for `celery inspect` and `celery control` alone, tasks go straight to
        their queue: a worker does without rather than end."""
        file = self._exchange_file(exchange)
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        table = self.get_table(exchange)
        if binding in table:
            return
        try:
            _write(file, [binding, *table])
        except OSError as error:
            logger.warning("remote control may not work: %s", error)


class Transport(filesystem.Transport):
    Channel = Channel
    driver_type = driver_name = SCHEME


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


def _made(folder: str) -> str:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def _write(path: Path, content: Any) -> None:
    """The file as a whole or not at all; what is written meanwhile has no name of a message."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(dumps(content))
        os.replace(name, path)
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise
