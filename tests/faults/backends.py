"""Backends as processes, which can be killed, frozen and told to misbehave."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests import services
from tests.faults import PATIENCE_S

SCRIPT = Path(__file__).with_name("server.py")


class Backend:
    """A process of server.py on a port that stays its own when it is started again."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.journal = folder / f"{name}.journal"
        self.port = services.free_port()
        self.start()

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", self.port), backlog=1024) as listener:
            argv = [sys.executable, "-I", str(SCRIPT), self.name, str(listener.fileno())]
            self._process = subprocess.Popen(
                [*argv, str(self.journal)], pass_fds=[listener.fileno()]
            )
        self.state()  # it waits in the listener's queue until the process answers

    def kill(self) -> None:
        """From now on its port refuses."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def mode(self, name: str) -> None:
        """What it does with requests from now on; server.Server.modes has the names."""
        self._ask("PUT", f"/-/mode/{name}")

    def hold(self) -> None:
        """Requests of /held and /sink wait for `release`."""
        self._ask("PUT", "/-/hold")

    def release(self) -> None:
        self._ask("PUT", "/-/release")

    def state(self) -> dict[str, Any]:
        return self._ask("GET", "/-/state")

    def got(self) -> Counter[tuple[str, str]]:
        """How often each request came, by method and id, since the suite began."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        pairs = (line.split(" ") for line in lines)
        return Counter((method, request_id) for method, request_id in pairs)

    def well(self) -> None:
        """As new, whatever a test left behind."""
        if not self.alive:
            self.start()
        self.thaw()
        self.mode("answer")
        self.release()

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()
