"""What a new user does with `make run`, on both sets of databases and brokers."""

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from pools.conf import Conf
from pools.core import codec
from tests.conformance.backends import OK, Backend
from tests.serve.conftest import STARTED_WITHIN_S, children
from tests.serve.console import Console
from tests.services import eventually, gone

# What a busy machine takes, besides the times that are promised: this is no benchmark.
SLACK_S = 5.0
# A process that nobody wakes finds out when it looks next.
IN_FORCE_WITHIN_S = Conf().poll_interval_s + SLACK_S
TICK_S = 1.0


def process_of(served, word):
    """The child of the supervisor itself whose command line has the word."""
    return next(
        (pid for pid, line in children(served.process.pid).items() if word in line), None
    )


def asked(url):
    return requests.get(url, timeout=STARTED_WITHIN_S)


class Serving:
    """What holds whatever it is served from; `served` is running, and shared by a class."""

    @pytest.fixture(scope="class")
    @classmethod
    def console(cls, served):
        with Console(served) as console:
            yield console

    @pytest.fixture(scope="class")
    @classmethod
    def slow(cls):
        """A backend beside the demo's, which does what a test tells it."""
        backend = Backend()
        backend.script = backend.closes_after(OK)
        yield backend
        backend.close()

    def test_four_requests_meet_three_backends(self, served):
        assert set(served.meets(4)) == {"demo-1", "demo-2", "demo-3"}

    def test_the_password_is_shown_and_lets_in(self, served, console):
        assert console.home.url == served.admin + "/admin/"

    def test_health_checks_answer(self, served):
        assert asked(served.admin + "/-/healthz").text == "ok\n"
        assert asked(served.admin + "/-/readyz").text.startswith("revision ")
        assert asked(served.status + "/-/healthz").text == "ok\n"
        assert asked(served.status + "/-/readyz").status_code == 200

    def test_static_files_are_served(self, served):
        assert asked(served.admin + "/static/admin/css/base.css").status_code == 200

    def test_what_no_route_takes_is_404(self, served):
        assert served.get("/nothing-here").status_code == 404

    @pytest.mark.parametrize("path", ["/admin/", "/static/admin/css/base.css", "/-/healthz"])
    def test_the_public_does_not_reach_the_admin(self, served, path):
        assert served.get(path).status_code == 404

    def test_the_admin_carries_no_traffic(self, served):
        assert asked(served.admin + "/demo/").status_code == 404

    def test_a_backend_drained_in_the_admin_soon_gets_nothing_new(self, served, console):
        console.act("backend", served.address("demo-1"), "drain")
        eventually(lambda: "demo-1" not in served.meets(3), within_s=IN_FORCE_WITHIN_S)
        assert set(served.meets(6)) == {"demo-2", "demo-3"}
        console.act("backend", served.address("demo-1"), "make_ready")
        eventually(lambda: "demo-1" in served.meets(3), within_s=IN_FORCE_WITHIN_S)

    def test_a_prefix_edited_in_the_admin_is_soon_in_force(self, served, console):
        console.edit("route", "demo", path_prefix="/moved")
        eventually(lambda: served.get("/moved/").status_code == 200, within_s=IN_FORCE_WITHIN_S)
        assert served.get("/demo/").status_code == 404
        console.edit("route", "demo", path_prefix="/demo")
        eventually(lambda: served.get("/demo/").status_code == 200, within_s=IN_FORCE_WITHIN_S)

    def test_a_change_by_another_process_is_soon_in_force(self, served, slow, tmp_path):
        file = tmp_path / "site.yaml"
        document = yaml.safe_load(served.manage("config", "export").stdout)
        backend = {"host": "127.0.0.1", "port": slow.port}
        document["pools"].append(
            {"name": "slow", "probe": {"kind": "off"}, "backends": [backend]}
        )
        document["routes"].append({"name": "slow", "pool": "slow", "path_prefix": "/slow"})
        file.write_text(yaml.safe_dump(document))
        assert served.manage("config", "apply", str(file)).returncode == 0
        eventually(lambda: served.get("/slow/").status_code == 200, within_s=IN_FORCE_WITHIN_S)

    def test_a_killed_backend_fails_no_request_and_turns_down(self, served):
        document = codec.parse(yaml.safe_load(served.manage("config", "export").stdout))
        probe = next(pool.probe for pool in document.pools if pool.name == "demo")
        down_within_s = probe.interval_s * probe.fall + probe.timeout_s + TICK_S + SLACK_S
        os.kill(served.demo("demo-1"), signal.SIGKILL)

        def turned():
            assert "demo-1" not in served.meets(3)
            return "is down: connection refused" in served.output

        eventually(turned, within_s=down_within_s)
        assert "demo-1 ended (killed by SIGKILL)" in served.output

    def test_a_killed_worker_is_replaced_and_probes_go_on(self, served):
        first = process_of(served, "celery --quiet -A proxysite worker")
        os.kill(first, signal.SIGKILL)
        served.says("worker ended (killed by SIGKILL)")
        served.says("ready.", times=2)
        before = served.output.count("is down: ")
        os.kill(served.demo("demo-2"), signal.SIGKILL)
        eventually(lambda: served.output.count("is down: ") > before, within_s=30)
        assert set(served.meets(3)) == {"demo-3"}

    def test_a_killed_gateway_is_replaced(self, served):
        first = process_of(served, "django gateway")
        os.kill(first, signal.SIGKILL)
        served.says("gateway ended (killed by SIGKILL)")
        assert served.meets(3)  # connections wait in the socket, which stays open
        assert process_of(served, "django gateway") != first

    def test_a_killed_web_process_is_replaced_and_traffic_goes_on(self, served):
        first = process_of(served, "gunicorn")
        os.kill(first, signal.SIGKILL)
        assert served.meets(3)
        served.says("web ended (killed by SIGKILL)")
        assert asked(served.admin + "/-/healthz").ok  # it waits in the socket, as above
        assert process_of(served, "gunicorn") != first

    def test_an_interrupt_finishes_what_is_under_way_and_ends_all_of_it(self, served, slow):
        """The last one here: what the others used is over then."""
        below = children(served.process.pid)
        assert len(below) >= 5
        arrived, release = threading.Event(), threading.Event()

        def hold(plane):
            plane.request()
            arrived.set()
            release.wait(60)
            plane.send(OK)

        def refused():
            parts = urlsplit(served.url)
            try:
                socket.create_connection((parts.hostname, parts.port)).close()
            except ConnectionRefusedError:
                return True
            return False

        slow.script = hold
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(served.get, "/slow/")
            try:
                eventually(arrived.is_set)
                served.process.send_signal(signal.SIGINT)
                served.says("what is under way is finished")
                eventually(refused)
            finally:
                release.set()
            assert answer.result().content == b"ok"
        assert served.process.wait(60) == 0
        eventually(lambda: all(gone(pid) for pid in below))
        assert "Traceback" not in served.output


class TestServingFromFiles(Serving):
    """SQLite, and Celery's messages in files."""

    @pytest.fixture(scope="class")
    @classmethod
    def served(cls, serving):
        return serving()


class TestServingFromServers(Serving):
    """PostgreSQL and Redis."""

    @pytest.fixture(scope="class")
    @classmethod
    def served(cls, serving, postgres_url, redis_url):
        return serving(DATABASE_URL=postgres_url, REDIS_URL=redis_url)
