"""`manage.py gateway` as an operator runs it: a process, its workers and its log."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pools.core import codec
from pools.core.document import Backend, Document, Pool, Probe, ProbeKind, Route
from tests.services import eventually

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


def document(port):
    """All requests go to one backend, on a port of 127.0.0.1."""
    backends = (Backend(host="127.0.0.1", port=port),)
    pool = Pool(name="all", probe=Probe(kind=ProbeKind.OFF), backends=backends)
    return Document(pools=(pool,), routes=(Route(name="all", pool="all"),))


def publish(folder, published):
    """Make a data folder from which gateways serve the document."""
    file = folder / "document.json"
    file.write_text(json.dumps(codec.to_plain(published)))
    argv = [sys.executable, "-m", "tests.conformance.publish", str(file)]
    subprocess.run(argv, check=True, cwd=ROOT, env=environment(folder))


def environment(folder, **variables):
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "proxysite.settings",
        "DATA_DIR": str(folder),
        **variables,
    }


class Running:
    """A gateway that serves; without `bind`, on a free port of 127.0.0.1."""

    def __init__(self, folder, log, *arguments, code="", bind="127.0.0.1:0", **variables):
        self.log = log
        program = ["-c", code] if code else ["manage.py"]
        words = ["gateway", "--status-bind", "", *arguments]
        if bind:
            words += ["--bind", bind]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error::ResourceWarning", *program, *words],
                env=environment(folder, **variables),
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.pid = self.process.pid
        self.said("listening on")
        eventually(self.workers, within_s=PATIENCE_S)

    @property
    def output(self):
        return self.log.read_text(errors="replace")

    def said(self, text):
        def found():
            assert self.process.poll() is None, self.output
            return text in self.output

        eventually(found, within_s=PATIENCE_S, saying=f"{text!r} in {self.output}")

    @property
    def address(self):
        """Of the first listener that is no file."""
        host, port = re.search(r" https?://(\[.+?\]|[\d.]+):(\d+)", self.output).groups()
        return host.strip("[]"), int(port)

    def workers(self, master=None):
        """The processes that serve."""
        return children(master or self.pid)

    def ready(self, count=1):
        """As many workers as this, each of which takes SIGTERM for a wish to drain."""

        def handles():
            found = self.workers()
            return found if len(found) == count and all(map(_drains, found)) else None

        return eventually(handles, within_s=PATIENCE_S, saying=f"{count} workers")

    def signal(self, number):
        self.process.send_signal(number)

    def ended(self, within_s=PATIENCE_S):
        return self.process.wait(within_s)

    def connect(self):
        return Client(self.address)

    def get(self, path="/"):
        """The answer on a connection of its own."""
        with self.connect() as client:
            return client.get(path, close=True)

    def close(self):
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()  # its workers see that it is gone
            self.process.wait()


class Client:
    """One connection, and what is asked and answered on it."""

    def __init__(self, address, tls=None, first=b"", host="site.test"):
        """`first` is sent before anything else, TLS too."""
        self._host = host
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE_S)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, PATIENCE_S)
        self.sock.sendall(first)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=host)
        self._file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._file.close()
        self.sock.close()

    def ask(self, path="/", *fields, close=False):
        lines = [f"GET {path} HTTP/1.1", f"Host: {self._host}", *fields]
        lines += ["Connection: close"] if close else []
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def answer(self):
        """Status, fields by lower-case name, body; None: the connection ended instead."""
        line = self._file.readline()
        if not line:
            return None
        fields = {}
        while field := self._file.readline().strip():
            name, _, value = field.partition(b":")
            fields[name.decode().lower()] = value.strip().decode()
        body = self._file.read(int(fields.get("content-length", 0)))
        return int(line.split()[1]), fields, body

    def get(self, path="/", *fields, close=False):
        self.ask(path, *fields, close=close)
        return self.answer()

    def echoed(self, data):
        """Whether what is sent comes back."""
        self.sock.sendall(data)
        return self._file.read(len(data)) == data

    def over(self):
        """Waits for the end of the connection; whether it was ended without a word."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True


def children(pid):
    """Of one process alone, without theirs."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == pid and stat[0] != "Z":
                    found.append(int(folder.name))
    return sorted(found)


def listens(pid, port):
    """Whether a process has a socket open that listens on the port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {
        f"socket:[{row[9]}]"
        for row in rows
        if row[1].endswith(f":{port:04X}") and row[3] == "0A"  # TCP_LISTEN
    }
    files = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    return bool(files & inodes)


def _drains(pid):
    status = Path(f"/proc/{pid}/status")
    try:
        caught = re.search(r"SigCgt:\t(\w+)", status.read_text())[1]
    except OSError:
        return False
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))
