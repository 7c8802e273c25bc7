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

# By plane and by case: why it is not met. The case has to fail, or the entry goes.
CANNOT: dict[str, dict[str, str]] = {
    "wsgi": {
        **dict.fromkeys(
            (
                "test_websocket_is_tunnelled",
                "test_only_what_the_route_allows_is_offered",
                "test_upgrade_goes_to_another_backend_where_one_cannot_be_reached",
                "test_early_bytes_arrive_behind_the_101",
                "test_lengths_of_a_101_mean_nothing",
                "test_client_that_has_sent_all_gets_the_rest",
                "test_backend_that_has_sent_all_gets_the_rest",
                "test_end_of_the_client_ends_the_backends_connection",
                "test_end_of_the_backend_ends_the_clients_connection",
                "test_silent_tunnel_is_ended",
                "test_tunnel_is_no_answer_that_takes_too_long",
                "test_tunnel_carries_much_both_ways_at_once",
                "test_tunnel_holds_back_who_sends_to_one_that_does_not_read",
                "test_tunnel_holds_its_place_until_it_ends",
                "test_tunnel_is_untouched",
                "test_bytes_before_the_101_are_held_back",
            ),
            "WSGI has no tunnels",
        ),
        **dict.fromkeys(
            (
                "test_final_answer_ends_an_expectation",
                "test_continue_of_the_backend_passes",
                "test_expectation_reaches_the_backend",
                "test_backend_may_take_the_body_without_a_word",
                "test_expectation_of_a_body_too_large_ends_in_413",
                "test_error_of_ours_ends_an_expectation",
            ),
            "the WSGI server answers Expect with a 100 of its own before we see the request",
        ),
        **dict.fromkeys(
            (
                "test_close_is_heeded_and_said[plain.test-Connection: x, CLOSE]",
                "test_close_is_heeded_and_said[nowhere.test-Connection: x, CLOSE]",
            ),
            "gunicorn knows close only where it stands alone",
        ),
        **dict.fromkeys(
            (
                "test_small_body_is_sent_again",
                "test_body_that_is_still_coming_is_sent_again_once_it_is_here",
            ),
            "the view keeps nothing of a body: what was read of it is gone",
        ),
        "test_idle_connection_is_closed_before_the_backend_would": (
            "the view does nothing between requests: it closes what is too old at the next"
        ),
        "test_head_of_many_large_fields_is_431": (
            "gunicorn bounds each field and their number, not all of them together"
        ),
        **dict.fromkeys(
            (
                "test_requests_to_a_full_pool_wait_in_order",
                "test_request_too_many_for_the_queue_is_503",
                "test_client_that_leaves_the_queue_frees_its_place",
                "test_body_waits_with_its_request",
                "test_failed_request_gives_its_place_to_the_next",
            ),
            "the view does not wait for a place: its thread would serve nobody meanwhile",
        ),
        "test_repeated_fields_of_a_request_stay_apart": (
            "WSGI has one variable for each name: the server joins them by commas"
        ),
        "test_date_and_server_are_the_backends": "gunicorn writes its own Date and Server",
        "test_body_cut_short_is_cut_for_http_1_0_too": (
            "a body of unknown length ends with the connection for HTTP/1.0, and gunicorn "
            "ends each connection in order"
        ),
        **dict.fromkeys(
            (
                "test_chunk_that_is_none_ends_no_request[overflow]",
                "test_chunk_that_is_none_ends_no_request[overflow-to-5]",
            ),
            "gunicorn counts with whole numbers of any size, and waits for the rest",
        ),
    },
    "gateway": {},
}

# By plane and by fixture: why what it starts is not this plane's affair.
ELSEWHERE: dict[str, dict[str, str]] = {
    "wsgi": {
        "limited": "time for a client's head, body and silence is fixed: see tests/proxysite",
        "crowded": "how many connections there may be is the WSGI server's affair",
        "doors": "TLS, other sockets and the PROXY protocol are those of the server in front",
        "told": "the PROXY protocol is that of the server in front",
    },
    "gateway": {},
}


class Plane(Protocol):
    name: str

    def start(self, document: Document, folder: Path) -> tuple[str, int]:
        """Serves the document; returns the address once it answers."""

    def serve(self, *arguments: str, **environment: str) -> tuple[str, int]:
        """Serves the same once more, by other settings."""

    def publish(self, document: Document) -> None:
        """Puts another document in the place of the one that is served."""

    def restart_without_database(self) -> tuple[str, int]:
        """Ends the processes, takes their database away and starts them again."""

    def stop(self) -> None: ...


class ProjectPlane:
    """The project as a process of its own, with a database of its own."""

    name: str
    project = "proxysite"  # the package with `settings` and `wsgi`

    def __init__(self) -> None:
        self._servers: list[subprocess.Popen[bytes]] = []

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
            "DRAIN_TIMEOUT": "1",
            "TUNNEL_DRAIN_TIMEOUT": "1",
        }
        self.publish(document)
        return self.serve()

    def publish(self, document: Document) -> None:
        file = self._folder / "document.json"
        file.write_text(json.dumps(codec.to_plain(document)))
        subprocess.run(
            [sys.executable, "-m", "tests.conformance.publish", str(file)],
            check=True,
            cwd=ROOT,
            env=self._environment,
        )

    def restart_without_database(self) -> tuple[str, int]:
        self.stop()
        for file in (self._folder / "data").glob("*.sqlite3*"):
            file.unlink()
        (self._folder / "data" / "proxysite.sqlite3").mkdir()  # nor can a new one be made
        return self.serve()

    def serve(self, *arguments: str, **environment: str) -> tuple[str, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        address: tuple[str, int] = listener.getsockname()
        log_file = self._folder / f"server-{len(self._servers)}.log"
        command = self.command(listener)
        with listener, log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command, *arguments],
                cwd=ROOT,
                env={**self._environment, **environment},
                pass_fds=[fd for fd in [listener.fileno()] if fd >= 0],
                stderr=log,
                stdout=log,
            )
        self._servers.append(process)
        if not self._answers(address, process):
            raise AssertionError(f"the server did not start:\n{log_file.read_text()}")
        return address

    def command(self, listener: socket.socket) -> list[str]:
        """The server's module and arguments; it inherits the listener, or closes it."""
        raise NotImplementedError

    def _answers(self, address: tuple[str, int], process: subprocess.Popen[bytes]) -> bool:
        until = time.monotonic() + PATIENCE_S * 3
        while time.monotonic() < until and process.poll() is None:
            try:
                with socket.create_connection(address, PATIENCE_S) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if sock.recv(1):
                        return True
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self) -> None:
        for process in self._servers:
            process.terminate()
        for process in self._servers:
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._servers.clear()


class WsgiPlane(ProjectPlane):
    """The project under gunicorn, as `manage.py serve` runs it."""

    name = "wsgi"

    def command(self, listener: socket.socket) -> list[str]:
        return [
            *("gunicorn", "--config", f"python:{self.project}.gunicorn"),
            *("--bind", f"fd://{listener.fileno()}", "--threads", "16"),
        ]


class GatewayPlane(ProjectPlane):
    """`manage.py gateway`, one worker."""

    name = "gateway"

    def command(self, listener: socket.socket) -> list[str]:
        return [
            *("django", "gateway", "--bind", f"fd://{listener.fileno()}"),
            *("--workers", "1", "--status-bind", ""),
        ]


PLANES: tuple[type[Plane], ...] = (WsgiPlane, GatewayPlane)
