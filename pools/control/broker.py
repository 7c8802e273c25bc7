"""The broker, asked directly: whether messages could be sent now."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError

TIMEOUT_S = 2.0


def ask(app: Any) -> tuple[str, str]:
    """The broker of a Celery app, without its password; and what is wrong with it, or ""."""
    options = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    connection = app.connection_for_write(connect_timeout=TIMEOUT_S, transport_options=options)
    folder = app.conf.broker_transport_options.get("data_folder_out")
    url = str(folder or connection.as_uri())
    if not connection.password:
        url = url.replace(":**@", "")  # kombu masks one that is not there, too
    try:
        with connection:
            connection.ensure_connection(
                max_retries=1, interval_start=0, interval_step=0, timeout=TIMEOUT_S
            )
        if folder:
            _write(Path(folder))
    except (OperationalError, OSError) as error:
        return url, " ".join(str(error).split()) or repr(error)
    return url, ""


def _write(folder: Path) -> None:
    """As a message would be, which makes the folder where there is none. Raises OSError."""
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written")
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1024))
