"""What a new user does with `make run`, on both sets of databases and brokers."""

import os
import re
import signal

import pytest
import requests
import yaml

from tests.serve.conftest import children
from tests.services import eventually, gone


def process_of(served, word):
    """The child of the supervisor itself whose command line has the word."""
    return next(
        (pid for pid, line in children(served.process.pid).items() if word in line), None
    )


class Serving:
    """What holds whatever it is served from; `served` is running, and shared by a class."""

    def test_four_requests_meet_three_backends(self, served):
        assert set(served.meets(4)) == {"demo-1", "demo-2", "demo-3"}

    def test_the_password_is_shown_and_lets_in(self, served):
        password = re.search(r"password +│ (\S+) ", served.output)[1]
        with requests.Session() as session:
            login = session.get(served.url + "/admin/login/", timeout=10)
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', login.text)[1]
            answer = session.post(
                served.url + "/admin/login/?next=/admin/",
                {"username": "admin", "password": password, "csrfmiddlewaretoken": token},
                timeout=10,
            )
        assert answer.url == served.url + "/admin/"
        assert answer.status_code == 200

    def test_health_checks_answer(self, served):
        assert served.get("/-/healthz").text == "ok\n"
        assert served.get("/-/readyz").text.startswith("revision ")

    def test_static_files_are_served(self, served):
        assert served.get("/static/admin/css/base.css").status_code == 200

    def test_what_no_route_takes_is_404(self, served):
        assert served.get("/nothing-here").status_code == 404

    def test_a_change_by_another_process_is_soon_in_force(self, served, tmp_path):
        file = tmp_path / "site.yaml"
        exported = served.manage("config", "export").stdout
        document = yaml.safe_load(exported)
        document["routes"][0]["path_prefix"] = "/moved"
        file.write_text(yaml.safe_dump(document))
        assert served.manage("config", "apply", str(file)).returncode == 0
        eventually(lambda: served.get("/moved/").status_code == 200)
        assert served.get("/demo/").status_code == 404
        file.write_text(exported)
        assert served.manage("config", "apply", str(file)).returncode == 0
        eventually(lambda: served.get("/demo/").status_code == 200)

    def test_a_killed_backend_fails_no_request_and_turns_down(self, served):
        os.kill(served.demo("demo-1"), signal.SIGKILL)

        def turned():
            assert "demo-1" not in served.meets(3)
            return "is down: connection refused" in served.output

        eventually(turned, within_s=20)
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

    def test_a_killed_web_process_is_replaced(self, served):
        first = process_of(served, "gunicorn")
        os.kill(first, signal.SIGKILL)
        served.says("web ended (killed by SIGKILL)")
        assert served.meets(3)  # connections wait in the socket, which stays open
        assert process_of(served, "gunicorn") != first

    def test_an_interrupt_ends_all_of_it_cleanly(self, served):
        """The last one here: what the others used is over then."""
        below = children(served.process.pid)
        assert len(below) >= 4
        assert served.interrupt() == 0
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
