import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from proxysite import healthcheck
from tests import services


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.hosts.append(self.headers["Host"])
        alive = self.path == "/-/healthz"
        self.send_response(200 if alive else 404)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.parametrize(
    ("admin_host", "asked"),
    [
        ("", "localhost:8000"),
        ("Admin.example.com.", "admin.example.com:8000"),
        ("münchen.example", "xn--mnchen-3ya.example:8000"),
        ("::1", "[::1]:8000"),
    ],
)
def test_a_process_that_answers_the_admins_host_is_healthy(monkeypatch, admin_host, asked):
    monkeypatch.setenv("ADMIN_HOST", admin_host)
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.hosts = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        healthcheck.main("web", url=f"http://127.0.0.1:{server.server_address[1]}")
        healthcheck.main("gateway", url=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()
    assert server.hosts == [asked, "localhost:8081"]


@pytest.mark.parametrize("kind", ["web", "gateway"])
def test_a_process_that_does_not_answer_is_not(kind):
    with pytest.raises(SystemExit, match=f"{kind}: .*refused"):
        healthcheck.main(kind, url=f"http://127.0.0.1:{services.free_port()}")


@pytest.mark.parametrize("kind", ["worker", "beat"])
def test_a_process_is_healthy_while_it_touches_its_file(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit, match=f"{kind}: "):
        healthcheck.main(kind)
    file = tmp_path / f"{kind}.alive"
    file.touch()
    healthcheck.main(kind)
    long_ago = time.time() - 60
    os.utime(file, (long_ago, long_ago))
    with pytest.raises(SystemExit, match=f"{kind} did nothing for 60 s"):
        healthcheck.main(kind)
