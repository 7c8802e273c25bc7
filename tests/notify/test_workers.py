"""Two workers, and more, on real databases: nothing is told twice and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.notify.workers import PORTS, TURNS
from tests.services import eventually


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'workers.sqlite3'}"
        return
    server = request.getfixturevalue("postgres_url")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE workers")
        yield server.rpartition("/")[0] + "/workers"
        admin.execute("DROP DATABASE workers WITH (FORCE)")


def test_workers_at_once_tell_each_flip_once(database_url, tmp_path, receiver):
    there = receiver()
    done = subprocess.run(
        [sys.executable, "-m", "tests.notify.workers", there.url],
        cwd=Path(__file__).resolve().parents[2],
        env={
            **os.environ,
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "proxysite.settings",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "alerts": PORTS * TURNS // 2,
        "open": 0,
        "tellings": PORTS * TURNS,
        "sent": TURNS,
        "deliveries": TURNS,
        "changes": TURNS,
    }
    bodies = [json.loads(body)["data"]["alerts"] for _, _, body in there.got]
    assert [{alert["phase"] for alert in alerts} for alerts in bodies] == [
        {"begun"},
        {"ended"},
    ] * (TURNS // 2)
    assert {len(alerts) for alerts in bodies} == {PORTS}


def test_a_message_whose_sender_was_killed_is_sent_again_with_its_id(
    database_url, tmp_path, receiver
):
    there = receiver()
    there.script = [there.hangs, (200, {}, b"")]
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "proxysite.settings",
    }

    def sender(seconds: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.notify.sender", there.url, str(seconds)],
            cwd=Path(__file__).resolve().parents[2],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    with sender(0) as first:
        eventually(lambda: there.got, within_s=60, saying="the first attempt")
        first.kill()
    with sender(30) as too_soon:
        found = json.loads(too_soon.communicate(timeout=60)[0])
        assert found == {"sent": 0, "state": "pending", "attempts": 1}
    with sender(61) as second:
        found = json.loads(second.communicate(timeout=60)[0])
        assert found == {"sent": 1, "state": "sent", "attempts": 2}
    (_, before, body), (_, after, again) = there.got
    assert before["Webhook-Id"] == after["Webhook-Id"]
    assert body == again
