"""The data planes that the suite runs against, and what each cannot do.

A plane takes a document and serves it on an address of its own. A new one is added to
PLANES; every case then runs against it, and CANNOT says which it can't meet, and why.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from pools.core import codec
from pools.core.document import Document
from tests.conformance.client import PATIENCE_S
from tests.conformance.site import TRUSTED

ROOT = Path(__file__).resolve().parents[2]

_CONTINUE = "the WSGI server answers Expect with a 100 of its own before we see the request"

# By plane and by case: why it is not met. The case has to fail, or the entry goes.
CANNOT: dict[str, dict[str, str]] = {
    "wsgi": {
        "test_websocket_is_tunnelled": "WSGI has no tunnels",
        "test_final_answer_ends_an_expectation": _CONTINUE,
        "test_continue_of_the_backend_passes": _CONTINUE,
        "test_date_and_server_are_the_backends": "gunicorn writes its own Date and Server",
        "test_body_cut_short_is_cut_for_http_1_0_too": (
            "a body of unknown length ends with the connection for HTTP/1.0, and gunicorn "
            "ends each connection in order"
        ),
    },
}


class Plane(Protocol):
    name: str

    def start(self, document: Document, folder: Path) -> tuple[str, int]:
        """Serves the document; returns the address once it answers."""

    def restart_without_database(self) -> tuple[str, int]:
        """Ends the processes, takes their database away and starts them again."""

    def stop(self) -> None: ...


class WsgiPlane:
    """The project under gunicorn, as `manage.py serve` runs it, with a database of its own."""

    name = "wsgi"
    project = "proxysite"  # the package with `settings` and `wsgi`

    def start(self, document: Document, folder: Path) -> tuple[str, int]:
        self._folder = folder
        self._environment = {
            **os.environ,
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "DJANGO_SETTINGS_MODULE": f"{self.project}.settings",
            "TRUSTED_PROXIES": f"{TRUSTED}/32",
            "LOG_LEVEL": "WARNING",
        }
        file = folder / "document.json"
        file.write_text(json.dumps(codec.to_plain(document)))
        subprocess.run(
            [sys.executable, "-m", "tests.conformance.publish", str(file)],
            check=True,
            cwd=ROOT,
            env=self._environment,
        )
        return self._serve()

    def restart_without_database(self) -> tuple[str, int]:
        self.stop()
        for file in (self._folder / "data").glob("*.sqlite3*"):
            file.unlink()
        (self._folder / "data" / "proxysite.sqlite3").mkdir()  # nor can a new one be made
        return self._serve()

    def _serve(self) -> tuple[str, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        address: tuple[str, int] = listener.getsockname()
        self.log = self._folder / "server.log"
        command = self.command(listener)
        with listener, self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self._environment,
                pass_fds=[fd for fd in [listener.fileno()] if fd >= 0],
                stderr=log,
                stdout=log,
            )
        self._wait(address)
        return address

    def command(self, listener: socket.socket) -> list[str]:
        """The server's module and arguments; it inherits the listener, or closes it."""
        return [
            *("gunicorn", "--config", f"python:{self.project}.gunicorn"),
            *("--bind", f"fd://{listener.fileno()}", "--threads", "16"),
        ]

    def _wait(self, address: tuple[str, int]) -> None:
        until = time.monotonic() + PATIENCE_S * 3
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                with socket.create_connection(address, PATIENCE_S) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if sock.recv(1):
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


PLANES: tuple[type[Plane], ...] = (WsgiPlane,)
