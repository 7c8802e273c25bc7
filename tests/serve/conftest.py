"""`manage.py serve` as a user runs it: its own process, data folder and ports."""

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests import services
from tests.services import eventually

REPOSITORY = Path(__file__).parents[2]
STARTED_WITHIN_S = 60
# Ports that are free, whatever else is served on this machine.
FREE = [
    *("--bind", "127.0.0.1:0"),
    *("--admin-bind", "127.0.0.1:0"),
    *("--status-bind", "127.0.0.1:0"),
]


class Manage:
    """Runs manage.py on one data folder."""

    def __init__(self, folder, **variables):
        self.folder = folder
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "proxysite.settings",
            "DATA_DIR": str(folder),
            **variables,
        }

    def __call__(self, *args, **kwargs):
        """Run to the end."""
        return subprocess.run(
            self.argv(args),
            env=self.env,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            **kwargs,
        )

    def argv(self, args):
        return [sys.executable, "-W", "error::ResourceWarning", "manage.py", *args]


class Serve:
    """A running `manage.py serve --demo`; `output` is all that it has said."""

    def __init__(self, manage, log):
        self.manage = manage
        self._log = log
        argv = manage.argv(["serve", "--demo", *FREE])
        # Out of the way of ports that the system gives, and of other tests' demos.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        argv += ["--demo-port", str(20_000 + 100 * int(worker))]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                argv, env=manage.env, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT
            )

    def wait_until_it_answers(self):
        self.says("Ctrl-C")
        eventually(lambda: self.get("/demo/").status_code, within_s=STARTED_WITHIN_S)
        # The worker comes last, and what follows counts on its probes.
        self.says("ready.")

    @property
    def output(self):
        return self._log.read_text(errors="replace")

    def says(self, text, *, times=1, within_s=STARTED_WITHIN_S):
        def said():
            assert self.process.poll() is None, self.output
            return self.output.count(text) >= times

        eventually(said, within_s=within_s, saying=f"{text!r} in {self.output}")

    @property
    def url(self):
        """Of the gateway."""
        return self._shown("proxy", "/")

    @property
    def admin(self):
        """Of the web process, which serves the admin."""
        return self._shown("admin", "/admin/")

    @property
    def status(self):
        return self._shown("status", "/-/status")

    def _shown(self, row, path):
        return re.search(rf"{row} +│ (http://\S+){path}", self.output)[1]

    @property
    def password(self):
        return re.search(r"password +│ (\S+) ", self.output)[1]

    def get(self, path, **kwargs):
        return requests.get(self.url + path, timeout=STARTED_WITHIN_S, **kwargs)

    def meets(self, count, path="/demo/"):
        """Which backends so many requests met; each of them must succeed."""
        found = []
        for _ in range(count):
            answer = self.get(path, headers={"Accept": "application/json"})
            assert answer.status_code == 200, answer.text
            found.append(answer.json()["backend"])
        return found

    def demo(self, name):
        """The process of a demo backend."""
        return int(self._demo(name)[2])

    def address(self, name):
        """Where a demo backend listens."""
        return self._demo(name)[1]

    def _demo(self, name):
        return re.search(rf"{name} +│ http://(\S+), process (\d+)", self.output)

    def interrupt(self):
        """Ctrl-C; its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()  # its children end with it
            self.process.wait()


def children(pid):
    """Processes below one, by pid, with their command lines."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            parents[int(folder.name)] = int(stat[1]), line
    found, below = {}, {pid}
    while below:
        below = {child for child, (parent, _) in parents.items() if parent in below}
        found.update({child: parents[child][1] for child in below})
    return found


@pytest.fixture(scope="session")
def serving(tmp_path_factory):
    """serving(folder=None, **environment) -> Serve that answers; ended with the tests."""
    with ExitStack() as stack:

        def start(folder=None, **variables):
            base = tmp_path_factory.mktemp("serve")
            started = Serve(Manage(folder or base / "data", **variables), base / "log")
            stack.callback(started.close)
            started.wait_until_it_answers()
            return started

        yield start


@pytest.fixture
def manage(tmp_path):
    return Manage(tmp_path / "data")


@pytest.fixture(scope="session")
def port_in_use():
    with services.socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
